"""Conventions of an unseen library: an instruction in English, answered with the library's call."""

from headstart.tasks.apis.lessons import Apis

__all__ = ["Apis"]
