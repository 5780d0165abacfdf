"""The table that a PLC's programmer works from."""

from __future__ import annotations

import math

from hypothesis import given
from hypothesis import strategies as st

from edge.plant.outbox import KILLED
from edge.plant.part_result import Gap, PartResult
from edge.plant.register_map import (
    ACTIONS,
    BY_NAME,
    LENGTH,
    REGISTERS,
    SEQUENCES,
    Kind,
    decode,
    encode,
    line_values,
    result_values,
    sequence,
)
from tests.edge.plant.plant_scene import part_result, status


def test_no_two_registers_share_an_address() -> None:
    taken = [one.address + word for one in REGISTERS for word in range(one.kind.words)]
    assert len(taken) == len(set(taken))
    assert taken == sorted(taken)
    assert LENGTH <= 125  # one request reads it all


@given(st.data())
def test_what_is_encoded_is_decoded(data: st.DataObject) -> None:
    kinds = {
        Kind.F32: st.floats(width=32, allow_nan=False),
        **{kind: st.integers(0, 2 ** (16 * kind.words) - 1) for kind in (Kind.U16, Kind.U32, Kind.U64)},
    }
    values = {one.name: data.draw(kinds[one.kind]) for one in REGISTERS}
    assert decode(encode(values)) == values


def test_a_result_in_registers() -> None:
    values = decode(encode(result_values(part_result(17, score=2.5, outcome="REJECT", action="rejected"))))
    assert (values["part_id"], values["outcome"], values["score"], values["missing"]) == (17, 2, 2.5, 0)
    assert ACTIONS[int(values["action"])] == "rejected"
    assert values["sequence"] == values["sequence_again"] == sequence(part_result(17))
    assert values["time"] == 1_700_000_000_000
    none = decode(encode(result_values(part_result(17, score=None))))
    assert math.isnan(none["score"])
    assert decode(encode(result_values(None)))["sequence"] == 0


@given(st.integers(0, 2**31), st.sampled_from(["", "00ff", "ffff", "a1b2c3d4e5f60718"]))
def test_sequences_differ_from_part_to_part_and_are_never_0(part_id: int, records_id: str) -> None:
    first, second = sequence(part_result(part_id, records_id=records_id)), sequence(part_result(part_id + 1, records_id=records_id))
    assert first != second
    assert 1 <= first <= SEQUENCES


def test_missing_parts_are_counted_as_far_as_they_are_known() -> None:
    def missing(expected: int, part: PartResult) -> float:
        return result_values(part.model_copy(update={"gap": Gap(expected=expected, reason="lost")}))["missing"]

    assert missing(15, part_result(17)) == 2
    assert missing(0, part_result(100_000)) == SEQUENCES
    assert missing(500, part_result(17)) == SEQUENCES  # numbers began anew
    killed = part_result(10_000, gap=Gap(expected=3, reason=KILLED))
    assert result_values(killed)["missing"] == SEQUENCES  # some of them, or none


def test_the_line_in_registers() -> None:
    values = decode(encode(line_values(status())))
    assert (values["state"], values["passed_parts"], values["fault_parts"], values["triggers"]) == (4, 7, 1, 9)
    assert values["flags"] == 0b0000011
    assert values["settings"] == 0xA1B2C3D4
    assert decode(encode(line_values(None)))["state"] == 0
    assert BY_NAME["trigger"].address == 0
