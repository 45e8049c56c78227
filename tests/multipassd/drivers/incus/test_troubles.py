"""What `list` and `info` tell of a cluster that is not, or not wholly, reached: from memory."""

from __future__ import annotations

from multipassd.drivers.incus.cluster.view import View


def test_what_is_told_before_between_and_after_the_answers_of_a_cluster() -> None:
    view = View()
    (text,) = view.troubles()
    assert text.startswith("The Incus cluster has not answered yet")
    view.lost("no route")
    assert view.troubles() == ["The Incus cluster is not reached, so nothing is known: no route"]
    view.listed_all((), {"m1": "Online", "m2": "Online"})
    assert view.troubles() == []
    view.lost("no route")
    (text,) = view.troubles()
    assert text.endswith("what is shown is as it was last known: no route")
    view.listed_all((), {"m1": "Online", "m2": "Offline", "m3": "Evacuated"})
    (text,) = view.troubles()
    assert text.startswith("Hosts of the Incus cluster that are not online: m2 (Offline), m3 (")


def test_a_members_name_and_status_do_not_command_a_terminal() -> None:
    view = View()
    view.listed_all((), {"m1\x1b[2J\n" + "m" * 500: "Off\x07line\x1b]0;\n"})
    (text,) = view.troubles()
    assert text.isprintable() and len(text) < 500
