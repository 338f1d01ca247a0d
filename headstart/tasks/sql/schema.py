"""Tables to ask about: names, kinds and values of columns, each of which belongs to one split."""

from __future__ import annotations

import random
from dataclasses import dataclass
from functools import cache
from typing import final

from headstart.tasks.words import Side, invent, side

Value = str | int


@final
@dataclass(frozen=True)
class Column:
    """A column of texts, or of whole numbers."""

    name: str
    texts: tuple[str, ...] = ()
    """The values it takes; none: it holds numbers."""
    low: int = 0
    """Smallest number."""
    high: int = 0
    """Largest."""
    kind: str = ""
    """Its type in SQL where that is neither a text's nor a whole number's."""

    def draw(self, rng: random.Random) -> Value:
        """A value that it may hold."""
        return rng.choice(self.texts) if self.texts else rng.randint(self.low, self.high)


@final
@dataclass(frozen=True)
class Table:
    """A table; `other` is a second one that can be joined to it over a column that both have."""

    name: str
    columns: tuple[Column, ...]
    other: str = ""
    key: str = ""
    """The column that both have."""
    beyond: tuple[Column, ...] = ()
    """The other table's further columns."""

    @property
    def numbers(self) -> tuple[Column, ...]:
        """Columns of numbers."""
        return tuple(c for c in self.columns if not c.texts)

    @property
    def texts(self) -> tuple[Column, ...]:
        """Columns of texts."""
        return tuple(c for c in self.columns if c.texts)


_THINGS = """actors airports albums animals apartments artists authors banks bikes boats books branches bridges buildings buses
cafes cameras cards cars castles chefs cities classes clients clubs coaches colleges concerts countries courses courts crew cruises
customers deals desks doctors dogs drivers drones employees engines events exams factories farms fields films firms flights games gardens
gates gifts goals guests guides horses hotels houses invoices islands items jobs judges lakes lamps loans machines mines models mountains
movies museums nurses offices orders paintings papers parks parts patients phones pilots plants players poems ports printers products
projects recipes rivers roads robots roles rooms routes satellites schools sensors servers shelves ships shops singers songs stadiums staff
stations stores streets students suppliers teachers teams theaters tickets tools tours towers towns toys trains trees trips trucks users
vendors villages visits volcanoes voters warehouses wells wines workers zoos""".split()

_NUMBERS = {
    (0, 100): "score rating rank load humidity share discount grade quality mood level usage battery progress",
    (1, 60): "age seats stops rooms floors doors pages wheels stock seats lanes wins goals copies tracks members crew hours days shifts",
    (
        10,
        999,
    ): "price cost salary weight length width height speed budget fee rent power volume area depth capacity distance fare tax bonus",
    (1000, 9000): "population income sales revenue visitors views mileage altitude output wage debt value profit traffic turnover",
    (1900, 2024): "year founded built opened released born updated hired",
}

_TEXTS = {
    "Ada Bo Cy Dana Eli Fay Gus Hana Ivan Jun Kai Lena Milo Nora Omar Pia Quinn Rosa Sam Tess Uma Vic Wes Yara Zoe": "name owner author "
    "manager captain teacher director editor driver coach keeper artist winner",
    "Oslo Rome Lima Cairo Paris Tokyo Delhi Quito Berlin Dublin Madrid Vienna Sydney Boston Seoul Lagos Zurich Porto": "city town origin "
    "destination home venue place location birthplace",
    "France Japan India Chile Kenya Spain Norway Canada Brazil Greece Italy Peru Egypt Cuba Poland": "country nation nationality market",
    "red blue green black white amber grey violet orange pink brown gold silver": "color paint shade label stripe",
    "open closed late paid active idle new sold lost done failed ready pending hot cold": "status state phase condition mode",
    "north south east west center coast inland upper lower": "region zone area_name side district wing",
    "ops sales legal music drama horror comedy sport news science art food health tech law biology history math": "dept genre category "
    "topic subject field section theme class type kind",
    "steel wood glass wool cotton paper stone clay copper leather rubber silk": "material fabric surface base",
    "small medium large tiny huge light heavy slow fast soft hard": "size grade_name tier pace texture",
    "Acme Zeta Mono Delta Orion Nova Apex Vega Luna Titan Atlas Hydra Echo": "brand client maker vendor company sponsor supplier league",
    "English Spanish French German Arabic Hindi Korean Dutch Latin Greek": "language tongue script accent",
    "Monday Tuesday Friday Sunday May June July March winter spring summer autumn": "day month season weekday term",
}

_BEFORE = "total base net first last main home start end unit yearly daily local old extra".split()


def draw_table(rng: random.Random, wanted: Side) -> Table:
    """A table of four to seven columns whose names and text values are those of one split; half of all can be joined."""
    name, other = rng.sample(side(_THINGS, wanted), 2)
    style = rng.choice(("plain", "plain", "snake", "camel", "made"))
    drawn = [_number(rng, wanted) for _ in range(rng.randint(2, 3))] + [_text(rng, wanted) for _ in range(rng.randint(2, 4))]
    named: dict[str, Column] = {}
    for column in drawn:
        styled = _styled(column.name, style, rng, wanted)
        named.setdefault(styled.lower(), Column(styled, column.texts, column.low, column.high))
    columns = list(named.values())
    rng.shuffle(columns)
    if len({bool(c.texts) for c in columns}) < 2 or len(columns) < 4:
        return draw_table(rng, wanted)
    if rng.random() < 1 / 2 or len(columns) < 5:
        return Table(name, tuple(columns))
    here = len(columns) - 2
    if len({bool(c.texts) for c in columns[:here]}) < 2:
        return Table(name, tuple(columns))
    return Table(name, tuple(columns[:here]), other, f"{other.rstrip('s')}_id", tuple(columns[here:]))


def _number(rng: random.Random, wanted: Side) -> Column:
    (low, high), names = rng.choice(_numbers(wanted))
    return Column(rng.choice(names), (), low, high)


def _text(rng: random.Random, wanted: Side) -> Column:
    values, names = rng.choice(_texts(wanted))
    return Column(rng.choice(names), tuple(rng.sample(values, min(len(values), 5))))


@cache
def _numbers(wanted: Side) -> list[tuple[tuple[int, int], tuple[str, ...]]]:
    return [(limits, names) for limits, text in _NUMBERS.items() if (names := side(text.split(), wanted))]


@cache
def _texts(wanted: Side) -> list[tuple[tuple[str, ...], tuple[str, ...]]]:
    found = [(side(values.split(), wanted), side(text.split(), wanted)) for values, text in _TEXTS.items()]
    return [(values, names) for values, names in found if len(values) > 1 and names]


def _styled(name: str, style: str, rng: random.Random, wanted: Side) -> str:
    if style == "made" and rng.random() < 1 / 2:
        return invent(rng, wanted)
    if style in ("plain", "made") or rng.random() < 1 / 2:
        return name
    before = rng.choice(_BEFORE)
    return f"{before}_{name}" if style == "snake" else before + name.title().replace("_", "")
