"""Files of the cache and lines of the worker's protocol keep their text: after an upgrade, a former
worker may answer this daemon, and a former daemon's cache is used.

`former/` holds what the release of November 2026 wrote, when pydantic did.
"""

from __future__ import annotations

import json
from pathlib import Path

import pytest

from multipassd.auth.peer import Credentials
from multipassd.images.cache import Refusal
from multipassd.images.exported import Manifest
from multipassd.images.image import Base, Transfer
from multipassd.images.worker_protocol import Answer, Caller, Describe, Listing, task_of

FORMER = Path(__file__).with_name("former")
CALLER = Credentials(1000, 1001, 42, frozenset({1001, 27}))


def lines(name: str) -> list[bytes]:
    found = (FORMER / name).read_bytes().splitlines()
    assert found
    return found


def test_an_image_of_a_former_cache_is_written_again_byte_for_byte() -> None:
    of_export, plain = (Base.from_json(line) for line in lines("bases.jsonl"))
    assert [of_export.to_json(), plain.to_json()] == lines("bases.jsonl")
    assert of_export.export is not None and of_export.export.name == "foo" and plain.export is None


def test_a_former_refusal_and_a_former_list_are_written_again_byte_for_byte() -> None:
    refused, listed = (FORMER / "refused.json").read_bytes(), (FORMER / "list.json").read_bytes()
    assert Refusal.from_json(refused).to_json() == refused
    listing = Listing.from_json(listed)
    assert listing.to_json(defaults=False) == listed
    assert listing.images[0].aliases == ("noble", "lts") and listing.images[1].supported


def test_a_former_manifest_is_written_again_byte_for_byte() -> None:
    text = (FORMER / "manifest.json").read_bytes()
    assert Manifest.from_json(text).to_json(indent=1) + b"\n" == text


def test_tasks_are_those_that_a_former_worker_takes() -> None:
    assert [task_of(line).to_json() for line in lines("tasks.jsonl")] == lines("tasks.jsonl")
    look = task_of(lines("tasks.jsonl")[1])
    assert isinstance(look, Describe) and look.caller is not None
    assert look.caller.credentials == CALLER
    assert Caller.of(look.caller.credentials) == look.caller and Caller.of(None) is None


def test_answers_of_a_former_worker_are_understood() -> None:
    answers = [Answer.from_json(line) for line in lines("answers.jsonl")]
    assert [each.to_json(defaults=False) for each in answers] == lines("answers.jsonl")
    assert answers[0].transfer is not None
    assert Transfer(*answers[0].transfer) == Transfer(1, 2, 3)
    assert answers[4].base == Base.from_json(lines("bases.jsonl")[0])


@pytest.mark.parametrize("kind", ["none", None, 1])
def test_a_task_of_no_known_kind_is_refused(kind: object) -> None:
    task = json.loads(lines("tasks.jsonl")[0]) | {"kind": kind}
    with pytest.raises(ValueError, match="its kind is not valid"):
        task_of(json.dumps(task).encode())
