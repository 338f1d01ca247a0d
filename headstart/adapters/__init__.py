"""Adapters on disk: plain PEFT folders on a shelf."""
