import pytest

from headstart.episode import exact


@pytest.mark.parametrize(("got", "same"), [("a b", True), (" a b\n", True), ("a  b", False), ("A b", False), ("", False)])
def test_exact_forgives_blank_space_at_the_ends_alone(got: str, same: bool) -> None:
    assert exact("a b ", got) is same
