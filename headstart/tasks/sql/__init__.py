"""Query languages: made-up ones that no base has seen, drawn from a seed; and those of real engines."""

from headstart.tasks.sql.engines import Engines
from headstart.tasks.sql.family import Dialects

__all__ = ["Dialects", "Engines"]
