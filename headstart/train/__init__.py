"""Loops: the inner one of few-shot adaptation, and the outer one with its runs, checkpoints and scores. No language model is known here."""
