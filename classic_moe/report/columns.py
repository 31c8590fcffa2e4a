"""How the columns of a model are told to a reader: their names, units and values.

Coded columns say in their names what they are: "sex = female" and "age is missing" hold zeros and
ones, "date (days since 2001-01-01)" holds dates as numbers.
"""

from __future__ import annotations

import re
from dataclasses import dataclass

import numpy as np

from .table import number_text, short_name

SECONDS = {"seconds": 1, "minutes": 60, "hours": 3600, "days": 86400}
DATE = re.compile(rf"(.+) \(({'|'.join(SECONDS)}) since (\d{{4}}-\d\d-\d\d[ T\d:.]*)\)")


@dataclass(frozen=True)
class Column:
    """A column in words.

    Attributes
    ----------
    name : str
    label : str
        The name in a sentence, without what says how it is coded.
    unit : str, as "unit" or "day"
    origin : numpy.datetime64 or None
        Of dates that are numbers: the date of the number 0.
    """

    name: str
    label: str
    unit: str = "unit"
    origin: np.datetime64 | None = None

    @classmethod
    def of(cls, name) -> Column:
        """Return what a name says of its column."""
        match = DATE.fullmatch(name)
        if match is None:
            return cls(name, short_name(name))
        try:
            origin = np.datetime64(match[3].strip().replace(" ", "T"), "s")
        except ValueError:
            return cls(name, short_name(name))
        return cls(name, short_name(match[1]), match[2].removesuffix("s"), origin)

    @property
    def a_unit(self):
        """Return "a unit", "an hour"."""
        return f"{'an' if self.unit == 'hour' else 'a'} {self.unit}"

    def text(self, value, digits=4):
        """Return a value of the column as it stands in a sentence; str."""
        length = SECONDS.get(f"{self.unit}s", 1)
        if self.origin is None or not abs(value) * length < 1e11:  # some thousand years
            return number_text(value, digits)
        date = self.origin + np.timedelta64(round(value * length), "s")
        day, time = str(date.astype("datetime64[m]")).split("T")
        return day if self.unit == "day" else f"{day} {time}"

    def answer(self, yes):
        """Return what an indicator says, as "sex is not female" of "sex = female"; str."""
        word = "is" if yes else "is not"
        column, equals, value = self.name.partition(" = ")
        if equals:
            return f"{short_name(column)} {word} {short_name(value)}"
        if self.name.endswith(" is missing"):
            return f"{short_name(self.name.removesuffix(' is missing'))} {word} missing"
        return f"{self.label} is {int(yes)}"
