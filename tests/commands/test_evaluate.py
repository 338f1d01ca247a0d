"""What `headstart eval` says of answers."""

from __future__ import annotations

from headstart.commands.evaluate import score
from headstart.episode import Example


def test_an_interval_of_losses_holds_none_that_cannot_be() -> None:
    """One question of four that surprised, and Student's t would go below what any loss can be."""
    questions = [Example.pair(f"question {i}", "yes") for i in range(4)]
    facts = score(questions, ["yes", "no", "yes", "yes"], [0.001, 0.18, 0.001, 0.001])
    low, high = facts["loss_interval"]
    assert low == 0.0
    assert high > facts["loss"] > 0.0
    assert facts["exact_match"] == 0.75
