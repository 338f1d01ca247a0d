"""Conventions of an unseen toolkit: an instruction in English, answered with the toolkit's call."""

from headstart.tasks.apis.lessons import Apis

__all__ = ["Apis"]
