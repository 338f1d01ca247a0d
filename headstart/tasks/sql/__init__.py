"""Query languages that no base has seen: questions about tables, answered in a dialect drawn from a seed."""

from headstart.tasks.sql.family import Dialects

__all__ = ["Dialects"]
