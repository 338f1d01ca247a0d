"""How much of each unread prompt a pass reads."""

from __future__ import annotations

from collections.abc import Sequence

from headstart.serve.row import Row

_FIRST = 4
"""One of so many tokens is for the prompt that came first, so that a long one is read on whatever comes."""


def dealt(rows: Sequence[Row], chunk: int) -> dict[Row, int]:
    """Tokens that each row with an unread prompt reads: those with the fewest left are served first, and the one that came first too."""
    left = {row: len(row.unread) for row in rows if row.unread}
    if not left:
        return {}
    first = min(left, key=lambda row: row.came)
    shares = {first: min(left[first], max(1, chunk // _FIRST))}
    chunk -= shares[first]
    for row in sorted(left, key=lambda row: (left[row], row.came)):
        more = min(left[row] - shares.get(row, 0), chunk)
        shares[row] = shares.get(row, 0) + more
        chunk -= more
    return shares
