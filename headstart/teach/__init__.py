"""Teaching a base from a handful of examples, and telling honestly how well it went."""

from headstart.teach.choose import NONE, Beginning
from headstart.teach.lesson import Taught, teach, teach_from
from headstart.teach.recipe import Recipe, graft
from headstart.teach.report import Report, Score

__all__ = ["NONE", "Beginning", "Recipe", "Report", "Score", "Taught", "graft", "teach", "teach_from"]
