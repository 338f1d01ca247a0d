"""Calls: an action with its values, and the same in English."""

from __future__ import annotations

import random
from dataclasses import dataclass

from headstart.tasks.apis.domains import Action, Argument, Slot
from headstart.tasks.words import Side, draw_word

Value = str | int | bool
_OPENINGS = ("Please {}", "Can you {}?", "I want you to {}", "Now {}", "Could you {}?")


@dataclass(frozen=True)
class Call:
    """What is asked for: an action and, in the order of its slots, their values."""

    action: Action
    values: tuple[Value | None, ...]
    """None where an optional argument is left out"""

    def features(self) -> frozenset[str]:
        """What there is to learn from this call besides its action: each argument, each side of a flag, what is left out."""
        return frozenset(_feature(slot.argument, value) for slot, value in zip(self.action.slots, self.values, strict=True))


def draw_call(action: Action, side: Side, rng: random.Random) -> Call:
    """A call of an action; every other optional argument is left out."""
    return Call(action, tuple(_value(slot, side, rng) for slot in action.slots))


def ask(call: Call, rng: random.Random) -> str:
    """The call in English, phrased at random: what its head does not mention comes in any order, one part perhaps first."""
    slots = list(zip(call.action.slots, call.values, strict=True))
    said = {slot.argument.name: spoken(slot.argument, value, rng) for slot, value in slots if value is not None}
    line = rng.choice(call.action.heads).format_map(said)
    parts = [_part(slot, value, said, rng) for slot, value in slots if value is not None and slot.phrases]
    rng.shuffle(parts)
    if parts and rng.random() < 1 / 6:
        return _sentence(", ".join((parts[0], " ".join((line, *parts[1:])))), rng)
    line = " ".join((line, *parts))
    return _sentence(rng.choice(_OPENINGS).format(line) if rng.random() < 1 / 6 else line, rng)


def spoken(argument: Argument, value: Value, rng: random.Random) -> str:
    """A value as a sentence says it."""
    if argument.unit == "percent":
        return rng.choice((f"{value}%", f"{value} percent"))
    return f"{value} {argument.unit}".strip() if argument.kind == "number" else str(value)


def _feature(argument: Argument, value: Value | None) -> str:
    told = "left out" if value is None else str(value) if argument.kind == "flag" else "given"
    return f"{argument.name} {told}"


def _value(slot: Slot, side: Side, rng: random.Random) -> Value | None:
    argument = slot.argument
    if slot.optional and rng.random() < 1 / 2:
        return None
    if argument.kind == "flag":
        return rng.random() < 1 / 2
    if argument.kind == "number":
        return rng.randint(argument.low, argument.high)
    # An open pool is drawn from as often as all its fixed values together, so values do not run out.
    opens = [option for option in argument.options if "{" in option]
    option = rng.choice(opens if opens and rng.random() < 1 / 2 else argument.options)
    return option.format(word=draw_word(rng, side), Word=draw_word(rng, side).capitalize()) if "{" in option else option


def _part(slot: Slot, value: Value, said: dict[str, str], rng: random.Random) -> str:
    return rng.choice(slot.denials if value is False else slot.phrases).format(said[slot.argument.name])


def _sentence(line: str, rng: random.Random) -> str:
    line = line[0].upper() + line[1:] if rng.random() < 2 / 3 else line
    return line + "." if rng.random() < 1 / 3 and not line.endswith("?") else line
