"""A browser in front of the web console of a booted host, as a person uses it."""

from __future__ import annotations

import os
import re
import subprocess
import tempfile
from collections.abc import Iterator
from contextlib import contextmanager
from importlib.util import find_spec
from pathlib import Path
from typing import TYPE_CHECKING

from tests.system.host import Host
from tests.system.host import new_host as new_bare_host
from tools.sandbox import CHECKOUT

if TYPE_CHECKING:
    from playwright.sync_api import Browser, Frame, FrameLocator, Locator, Page, ViewportSize

ADDRESS = "http://localhost:9090"
FRAME = "iframe[name='cockpit1:localhost/multipass']"
CHROMIUM = "/usr/bin/chromium"
# As root there is no sandbox to begin; /dev/shm may be small.
ARGUMENTS = ("--no-sandbox", "--disable-dev-shm-usage", "--disable-gpu")
PATIENCE = 120_000  # milliseconds, for what takes less than one second on a quiet machine
WIDE: ViewportSize = {"width": 1280, "height": 900}
NARROW: ViewportSize = {"width": 390, "height": 844}
AXE = CHECKOUT / "tools/javascript/node_modules/axe-core/axe.min.js"
SERIOUS = ("serious", "critical")
USERS = ("alice", "bob", "carol", "dave")
# KVM does not work in a container, and trying it takes time.
DROP_IN = "[Service]\nEnvironment=MULTIPASS_ACCELERATOR=tcg\n"
SHOTS = "MULTIPASS_DEV_SCREENSHOTS"  # a directory where screenshots are kept


def missing() -> str:
    """Why no browser can be started here; empty if one can."""
    if find_spec("playwright") is None:
        return "playwright is not installed"
    return "" if os.access(CHROMIUM, os.X_OK) else "chromium is not installed"


def password(user: str) -> str:
    return f"{user}-secret"


@contextmanager
def new_host() -> Iterator[Host]:
    """A host with the console, the page and instances, whose users have passwords. Not booted."""
    with new_bare_host(kind="cockpit") as one:
        given = "".join(f"{user}:{password(user)}\n" for user in USERS)
        subprocess.run(["chroot", one.root, "chpasswd"], input=given, text=True, check=True)
        one.drop_in(DROP_IN)
        # As udev has it, which containers lack.
        (one.root / "etc/tmpfiles.d/tun.conf").write_text("z /dev/net/tun 0666\n")
        name = (one.root / "etc/hostname").read_text().strip()
        (one.root / "etc/hosts").write_text(f"127.0.0.1 localhost {name}\n")
        yield one


@contextmanager
def browser(host: Host) -> Iterator[Browser]:
    """In the network of the host, which has no other."""
    from playwright.sync_api import sync_playwright  # only here: not each checkout has it

    with tempfile.TemporaryDirectory() as place:
        launcher = Path(place) / "chromium"
        launcher.write_text(f'#!/bin/sh\nexec nsenter -t {host.leader} -n -- {CHROMIUM} "$@"\n')
        launcher.chmod(0o755)
        with sync_playwright() as playwright:
            one = playwright.chromium.launch(executable_path=str(launcher), args=list(ARGUMENTS))
            try:
                yield one
            finally:
                one.close()


class Console:
    """The session of one user, with the page about the service in front."""

    def __init__(self, page: Page, shots: Path) -> None:
        self.page = page
        self.shots = shots
        self.refused: list[str] = []  # what the page's security policy stopped
        page.on("console", self._heard)

    def _heard(self, message: object) -> None:
        text = str(getattr(message, "text", ""))
        where = getattr(message, "location", {}).get("url", "")
        # xterm.js tries to add styles, which its drawing on a canvas does not need.
        ours = "/multipass/" in where and "/vendor/xterm/" not in where
        if "Content Security Policy" in text and ours:
            self.refused.append(text)

    @property
    def frame(self) -> FrameLocator:
        return self.page.frame_locator(FRAME)

    def open(self, tab: str = "") -> None:
        self.page.goto(f"{ADDRESS}/multipass#/{tab}")
        self.ready()

    def ready(self) -> None:
        """All that the page shows at first is there."""
        self.frame.locator("#page[aria-busy=false]").wait_for(timeout=PATIENCE)

    def says(self, text: str | re.Pattern[str], *, gone: bool = False) -> None:
        """Wait until it stands on the page, or does not any more."""
        found = self.frame.get_by_text(text).first
        found.wait_for(state="detached" if gone else "visible")

    def click(self, name: str | re.Pattern[str]) -> None:
        self.frame.get_by_role("button", name=name).first.click()

    def fill(self, identity: str, text: str) -> None:
        self.frame.locator(f"#{identity}").fill(text)

    def row(self, instance: str) -> Locator:
        return self.frame.locator(f"[data-name='{instance}']")

    def client(self, name: str) -> Locator:
        return self.frame.locator(f"[data-client='{name}']")

    def dialog(self, title: str) -> Locator:
        return self.frame.get_by_role("dialog", name=title)

    def confirm(self, title: str, button: str) -> None:
        """Click a button of a dialog, which closes by it."""
        dialog = self.dialog(title)
        dialog.get_by_role("button", name=button).click()
        dialog.wait_for(state="detached")

    def is_accessible(self) -> None:
        """axe-core finds nothing serious in what is shown."""
        if not AXE.exists():
            return
        for style in ("dark", "light"):
            self.colour(style)
            self.inner.evaluate(AXE.read_text())
            found = self.inner.evaluate("() => axe.run()")
            serious = [each for each in found["violations"] if each["impact"] in SERIOUS]
            told = [(each["id"], [node["html"] for node in each["nodes"]][:3]) for each in serious]
            assert told == [], f"{style}: {told}"

    @property
    def inner(self) -> Frame:
        found = self.page.frame(name="cockpit1:localhost/multipass")
        assert found is not None
        return found

    def tab(self, name: str) -> None:
        self.frame.get_by_role("tab", name=re.compile(f"^{name}")).click()

    def raise_access(self, user: str) -> None:
        """Switch on administrative access. The console loads the page anew."""
        self.page.get_by_role("button", name="Limited access").first.click()
        field = self.page.locator("input[type=password]")
        field.fill(password(user))
        self.page.get_by_role("button", name="Authenticate").click()
        self.page.get_by_role("button", name="Administrative access").first.wait_for()
        self.frame.locator("#limited").wait_for(state="detached", timeout=PATIENCE)
        self.ready()

    def shot(self, name: str) -> None:
        """Keep pictures of the page, in both colour schemes."""
        for style in ("light", "dark"):
            self.colour(style)
            path = self.shots / f"{name}-{style}.png"
            self.page.screenshot(path=path, animations="disabled")
        self.colour("light")

    def colour(self, style: str) -> None:
        """As the console's own menu does it."""
        self.page.evaluate(
            "style => { localStorage.setItem('shell:style', style);"
            " window.dispatchEvent(new CustomEvent('cockpit-style', {detail: {style}})); }",
            style,
        )
        self.inner.evaluate("() => window.dispatchEvent(new CustomEvent('cockpit-style'))")


@contextmanager
def session(opened: Browser, user: str, shots: Path) -> Iterator[Console]:
    """A log-in, with our page in front."""
    with login(opened, user, shots) as console:
        console.ready()
        yield console


@contextmanager
def login(opened: Browser, user: str, shots: Path) -> Iterator[Console]:
    """By the console's own form."""
    context = opened.new_context(ignore_https_errors=True, viewport=WIDE)
    context.set_default_timeout(PATIENCE)
    context.grant_permissions(["clipboard-read", "clipboard-write"], origin=ADDRESS)
    page = context.new_page()
    console = Console(page, shots)
    try:
        page.goto(f"{ADDRESS}/multipass")
        page.locator("#login-user-input").fill(user)
        page.locator("#login-password-input").fill(password(user))
        page.locator("#login-button").click()
        yield console
    finally:
        context.close()


def shots_directory(tmp_path: Path) -> Path:
    place = Path(os.environ.get(SHOTS) or tmp_path / "screenshots")
    place.mkdir(parents=True, exist_ok=True)
    return place
