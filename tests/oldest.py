"""The oldest releases that pyproject.toml says will do, as constraints for pip; what only tests and tools want is left as it comes."""

import re
import tomllib
from pathlib import Path

PROJECT = tomllib.loads((Path(__file__).parents[1] / "pyproject.toml").read_text())["project"]


def oldest() -> list[str]:
    wanted = [*PROJECT["dependencies"], *(one for name, more in PROJECT["optional-dependencies"].items() if name != "dev" for one in more)]
    return [re.sub(r"^([\w-]+)>=([\w.]+).*$", r"\1==\2", one) for one in wanted]


if __name__ == "__main__":
    print("\n".join(oldest()))
