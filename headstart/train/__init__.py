"""Loops: few-shot adaptation today; the outer loop stands on it. No language model is known here."""
