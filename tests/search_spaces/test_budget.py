"""Budgets as people spell them."""

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from search_spaces.budget import Budget, spelled
from search_spaces.cost import Cost
from search_spaces.errors import BudgetError

LIMITS = st.dictionaries(st.sampled_from(("flops", "macs", "params")), st.integers(1, 10**18), min_size=1).map(
    lambda limits: Budget(tuple(limits.items()))
)


@pytest.mark.parametrize(
    ("text", "limits"),
    [
        ("300MFLOPs", {"flops": 300_000_000}),
        ("0.3G", {"flops": 300_000_000}),
        ("300e6 flops", {"flops": 300_000_000}),
        ("3E8", {"flops": 300_000_000}),
        ("300_000_000", {"flops": 300_000_000}),
        ("  <= 300 MFLOPs ", {"flops": 300_000_000}),
        ("≤.3 gflop", {"flops": 300_000_000}),
        ("1.1k", {"flops": 1100}),
        ("2TFLOPs", {"flops": 2 * 10**12}),
        ("300 MMACs", {"macs": 300_000_000}),
        ("300m mult-adds", None),
        ("300MMult-Adds", {"macs": 300_000_000}),
        ("5Mparams", {"params": 5_000_000}),
        ("2.5 million", None),
        ("16MB", {"params": 4_000_000}),
        ("16 MiB", {"params": 4 * 2**20}),
        ("4 bytes", {"params": 1}),
        ("300MFLOPs, 5Mparams", {"flops": 300_000_000, "params": 5_000_000}),
        ("300MFLOPs; 5Mparams", {"flops": 300_000_000, "params": 5_000_000}),
        ("300MFLOPs and 16MB", {"flops": 300_000_000, "params": 4_000_000}),
        ("300MFLOPs + 5Mparams", {"flops": 300_000_000, "params": 5_000_000}),
        ("5Mparams, 16MB", {"params": 4_000_000}),  # the stricter of two
        ("16MB, 5Mparams", {"params": 4_000_000}),
        ("0.1234567891G", {"flops": 123_456_789}),  # rounded down: never above what was asked
    ],
)
def test_spellings(text: str, limits: dict[str, int] | None) -> None:
    if limits is None:
        with pytest.raises(BudgetError):
            Budget.parse(text)
    else:
        assert Budget.parse(text) == Budget(tuple(limits.items()))


@pytest.mark.parametrize(
    ("text", "said"),
    [
        ("", "a budget reads like 300MFLOPs"),
        ("lots", "a budget reads like 300MFLOPs.*but got 'lots'"),
        ("300Mfish", "unit is FLOPs, MACs, params or bytes with k, M or G, but got '300Mfish'"),
        ("-5M", "reads like"),
        ("0", "from 1 to 1e18"),
        ("7B", "a bare B may be bytes or billions: .* but got '7B'"),
        ("300MFLOPs, 7b", "a bare B may be bytes or billions"),
        ("3 bytes", "from 1 to 1e18"),
        ("300MFLOPs, lots", "reads like"),
        ("300MFLOPs and and 5M", "reads like"),
        ("1e19", "from 1 to 1e18"),
        ("9" * 60, "reads like"),
        ("300MFLOPs,", "reads like"),
        ("nan", "reads like"),
        ("inf", "reads like"),
    ],
)
def test_errors_say_how_a_budget_reads(text: str, said: str) -> None:
    with pytest.raises(BudgetError, match=said):
        Budget.parse(text)


@pytest.mark.parametrize("table", ["a,b.json", "/x/c++/cpu.json", "land and sea", "a;b", "sand+and"])
def test_a_table_may_be_called_what_parts_limits_elsewhere(table: str) -> None:
    """Only a number begins another limit."""
    limits = (("latency_ns", 8_000_000), ("flops", 300_000_000))
    assert Budget.parse(f"8ms@{table}") == Budget(limits[:1], table)
    for text in (f"8ms@{table}, 300MFLOPs", f"8ms@{table} and 300MFLOPs", f"8ms@{table}+<= 300M"):
        assert Budget.parse(text) == Budget(limits, table)
        assert Budget.parse(str(Budget.parse(text))) == Budget(limits, table)


@settings(max_examples=400)
@given(LIMITS)
def test_text_round_trip(budget: Budget) -> None:
    assert Budget.parse(str(budget)) == budget


@given(st.floats(1, 1e15), st.sampled_from(("", "k", "M", "G", " MFLOPs", "kMACs", "MB", "GiB", "params")))
def test_what_was_read_reads_the_same_again(number: float, unit: str) -> None:
    try:
        budget = Budget.parse(f"{number}{unit}")
    except BudgetError:
        return
    assert Budget.parse(str(budget)) == budget


@settings(max_examples=300)
@given(st.text(max_size=40) | st.text("0123456789.eE+-,;kMGBflopsmacparmd_ <=≤٣", max_size=30))
def test_junk_is_a_budget_error_and_nothing_else(text: str) -> None:
    try:
        budget = Budget.parse(text)
    except BudgetError:
        return
    assert budget.limits
    assert Budget.parse(str(budget)) == budget


def test_long_junk_is_refused_at_once() -> None:
    for text in (
        "1" * 100_000 + "!",
        "1 " * 50_000,
        "," * 100_000,
        " " * 100_000,
        "1," + " " * 100_000,
        "1" + ", " * 50_000,
    ):
        with pytest.raises(BudgetError) as caught:
            Budget.parse(text)
        assert len(str(caught.value)) < 300


@pytest.mark.parametrize(
    ("value", "text"), [(300_000_000, "300M"), (1_250_000_000, "1.25G"), (4096, "4.096k"), (999, "999"), (1, "1")]
)
def test_counts_are_spelled_with_a_prefix(value: int, text: str) -> None:
    assert spelled(value) == text


def test_a_limit_itself_fits() -> None:
    budget = Budget((("flops", 100), ("params", 50)))
    assert budget.fits(Cost(flops=100, params=50))
    assert not budget.fits(Cost(flops=101, params=1))
    assert not budget.fits(Cost(flops=1, params=51))
    assert budget.excess(Cost(flops=50, params=100)) == 2
    assert Budget().fits(Cost(flops=10**15))
    assert Budget().excess(Cost(flops=10**15)) == 0
