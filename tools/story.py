"""./dev run: the whole story, from the first client to an instance, with the real programs.

Every command is printed with its output, which is compared with the documentation. As root, alice
and bob are two other uids (alice in the admin group), so that the socket's owner, group and mode
matter; otherwise they are two clients of the user who runs this. The instance is of a tiny image,
served on this machine instead of Ubuntu's.
"""

import argparse
import os
import shlex
import shutil
import signal
import subprocess
import sys
import time
from collections.abc import Iterator, Sequence
from contextlib import contextmanager, suppress
from pathlib import Path

from tools import cloudimage, machines
from tools.cast import Person, choose_people
from tools.daemon import Daemon
from tools.imageserver import serving
from tools.imagetree import ImageTree
from tools.narrator import Story
from tools.roots import RootError
from tools.sandbox import CHECKOUT, INTERRUPTED, MULTIPASS, Sandbox

NOT_AUTHENTICATED = (
    "list failed: The client is not authenticated with the Multipass service.\n"
    "Please use 'multipass authenticate' before proceeding.\n"
)
NOT_SET = (
    "authenticate failed: Passphrase is not set. "
    "Please `multipass set local.passphrase` with a trusted client.\n"
)
NOT_CORRECT = "authenticate failed: Passphrase is not correct. Please try again.\n"
DENIED = "list failed: multipass socket access denied\n"
EMPTY_LIST = "No instances found.\n"
PASSPHRASE = "correct horse = battery staple"
ASK, ASK_AGAIN = "Please enter passphrase: ", "Please re-enter passphrase: "
LAUNCH_SECONDS = 600.0  # an emulated guest on a busy machine
MOUNT_TERMINALS = (
    "mount -t devpts -o newinstance,ptmxmode=666 devpts /dev/pts && ln -sf pts/ptmx /dev/ptmx"
)
QEMU, SSH = "qemu-system-x86_64", "ssh"
INSTANCE = "hello"
UNHEARD = 128 + signal.SIGPIPE  # exit code of a program that SIGPIPE ended, as in shells


def first_client(story: Story) -> None:
    alice, bob = story.people.alice, story.people.bob
    story.tell("No client is trusted yet: the socket is open to root and the admin group only")
    story.socket_mode(0o660)
    if bob.uid is not None:
        story.run(bob, "list", code=2, says=DENIED)
    story.tell("The first client from the admin group is trusted, and the socket opens to all")
    story.run(alice, "list", says=EMPTY_LIST)
    story.socket_mode(0o666)


def second_client(story: Story) -> None:
    alice, bob = story.people.alice, story.people.bob
    story.tell("A second user is refused, and cannot authenticate while no passphrase is set")
    story.run(bob, "list", code=2, says=NOT_AUTHENTICATED)
    story.run(bob, "authenticate", "foo", code=2, says=NOT_SET)

    story.tell("The trusted user sets a passphrase")
    twice = [(ASK, PASSPHRASE), (ASK_AGAIN, PASSPHRASE)]
    story.run(alice, "set", "local.passphrase", answers=twice, says=f"{ASK}\n{ASK_AGAIN}\n")
    story.run(alice, "get", "local.passphrase", says="true\n")

    story.tell("The second user authenticates: a wrong passphrase is refused, the right one is not")
    story.run(bob, "authenticate", "wrong", code=2, says=NOT_CORRECT)
    if bob.uid is None and os.geteuid() == 0:
        # bob is root here, who is not asked for a passphrase at a prompt.
        story.run(bob, "authenticate", PASSPHRASE)
    else:
        story.run(bob, "authenticate", answers=[(ASK, PASSPHRASE)], says=f"{ASK}\n")
    story.run(bob, "list", says=EMPTY_LIST)


def sudden_death(story: Story) -> None:
    story.tell("The daemon is killed (kill -9); the next caller starts it, and nothing is lost")
    print(f"# kill -9 {story.daemon.pid}", flush=True)
    story.daemon.kill()
    story.run(story.people.alice, "list", says=EMPTY_LIST)
    story.run(story.people.bob, "list", says=EMPTY_LIST)
    story.socket_mode(0o666)


def locked_out(story: Story) -> None:
    carol, root = story.people.carol, story.people.root
    story.tell("Locked out, then the documented recovery, with no restart")
    story.run(carol, "list", code=2, says=NOT_AUTHENTICATED)
    story.append_certificate(carol)
    story.until_trusted(carol)
    story.run(carol, "list", says=EMPTY_LIST)
    if root is not None:
        story.tell("Root is never locked out")
        story.run(root, "list", code=2, says=NOT_AUTHENTICATED)
        story.run(root, "authenticate", says="This client (root) is now authenticated.\n")
        story.run(root, "list", says=EMPTY_LIST)


def an_instance(story: Story) -> None:
    alice = story.people.alice
    user = story.people.root or alice  # OpenSSH's client works for accounts only
    story.tell("An image is found, and an instance of it launched")
    found = story.run(alice, "find")
    story.check("an image called noble", True, "noble" in found)
    launched = story.run(
        alice, "launch", "noble", "--name", INSTANCE, "--memory", "256M", "--disk", "1G",
        seconds=LAUNCH_SECONDS,
    )  # fmt: skip
    story.check("last line", f"Launched: {INSTANCE}", launched.rstrip("\n").rpartition("\n")[2])
    story.run(alice, "list", says="Name ")
    story.run(user, "exec", INSTANCE, "--", "id", "-un", says="ubuntu\n")
    files_and_an_alias(story, user)

    story.tell("The daemon is killed (kill -9), and the instance does not notice")
    boot = "/proc/sys/kernel/random/boot_id"
    before = story.run(user, "exec", INSTANCE, "--", "cat", boot)
    print(f"# kill -9 {story.daemon.pid}", flush=True)
    story.daemon.kill()
    story.run(user, "exec", INSTANCE, "--", "cat", boot, says=before)

    a_mount(story)
    a_snapshot(story)

    story.tell("The instance is deleted, and purged: nothing of it is left")
    story.run(
        alice, "info", INSTANCE, says=f"Name:           {INSTANCE}\nState:          Stopped\n"
    )
    story.run(alice, "delete", INSTANCE, seconds=LAUNCH_SECONDS)
    story.run(alice, "purge")
    story.run(alice, "list", says=EMPTY_LIST)


def files_and_an_alias(story: Story, user: Person) -> None:
    story.tell("A file goes to the instance and comes back; a command in it gets a name here")
    file = CHECKOUT / "requirements.txt"
    story.run(user, "transfer", str(file), f"{INSTANCE}:copied")
    story.run(user, "transfer", f"{INSTANCE}:copied", "-", says=file.read_text())
    story.run(user, "alias", f"{INSTANCE}:uname", "kernel", says="You'll need to add this ")
    story.run(user, "kernel", says="Linux\n")
    story.run(user, "unalias", "kernel")


def a_mount(story: Story) -> None:
    alice = story.people.alice
    user = story.people.root or alice
    story.tell("A directory of alice's is mounted in the instance, with alice's rights")
    source = story.daemon.sandbox.home(alice.name) / "shared"
    source.mkdir()
    if alice.uid is not None:
        os.chown(source, alice.uid, alice.uid)
    target = f"{INSTANCE}:shared"
    story.run(alice, "mount", str(source), target, seconds=LAUNCH_SECONDS)
    story.run(user, "exec", INSTANCE, "--", "touch", "shared/from-the-instance")
    owners = {path.name: path.stat().st_uid for path in source.iterdir()}
    story.check(
        "what is in alice's directory",
        {"from-the-instance": os.geteuid() if alice.uid is None else alice.uid},
        owners,
    )
    story.run(alice, "umount", target, seconds=LAUNCH_SECONDS)


def a_snapshot(story: Story) -> None:
    alice = story.people.alice
    story.tell("A snapshot of the stopped instance is taken, and the instance returns to it")
    story.run(alice, "stop", INSTANCE, seconds=LAUNCH_SECONDS)
    taken = ("--name", "before", "--comment", "with one CPU")
    story.run(alice, "snapshot", INSTANCE, *taken, says=f"Snapshot taken: {INSTANCE}.before\n")
    story.run(alice, "set", f"local.{INSTANCE}.cpus=2")
    story.run(alice, "list", "--snapshots", says="Instance   Snapshot   Parent   Comment\n")
    restored = f"Snapshot restored: {INSTANCE}.before\n"
    story.run(alice, "restore", "--destructive", f"{INSTANCE}.before", says=restored)
    story.run(alice, "get", f"local.{INSTANCE}.cpus", says="1\n")


def need_kernel_files() -> None:
    """Raises OSError that says what to do, if /proc or /dev/pts is missing in a chroot."""
    if not Path("/proc/self").exists():
        raise OSError("/proc is not mounted. In a chroot: mount -t proc proc /proc")
    try:
        for end in os.openpty():
            os.close(end)
    except OSError as error:
        raise OSError(
            f"passphrases are typed at a pseudo-terminal, and none can be opened ({error})."
            f" In a chroot: {MOUNT_TERMINALS}"
        ) from None


def tiny_image() -> Path | None:
    """The image; None if no instance can be launched, after a line that says why."""
    missing = [program for program in (QEMU, SSH) if shutil.which(program) is None]
    if missing:
        print(f"No instance is launched: {' and '.join(missing)} is missing on this machine.")
        return None
    if os.geteuid() == 0:  # building one needs root
        print(
            "An image to launch is made of Debian's packages, which takes a while at first.",
            flush=True,
        )
    try:
        return cloudimage.kept()
    except RootError as error:
        print(f"No instance is launched: its image can't be made here: {error}.")
        return None


@contextmanager
def served(image: Path | None, sandbox: Sandbox) -> Iterator[dict[str, str]]:
    """The daemon's environment, while `image` is served as Ubuntu's noble."""
    if image is None:
        yield {}
        return
    place = sandbox.root / "served"
    ImageTree(place).publish(image)
    with serving(place) as server:
        yield {"MULTIPASS_IMAGE_REMOTES": server.remotes()}


def serve(daemon: Daemon, instances: bool) -> None:
    """Print how to use the daemon by hand, and wait for Ctrl-C."""
    program = shlex.quote(str(MULTIPASS))
    print("\nServing. To talk to it by hand, in another terminal:\n")
    for name, value in daemon.env("you").items():
        if name.startswith(("MULTIPASS_", "XDG_")):
            print(f"  export {name}={shlex.quote(value)}")
    print(f"  {program} authenticate {shlex.quote(PASSPHRASE)}")
    print(f"  {program} {'shell' if instances else 'list'}")
    print(f"\nThe daemon's log: {daemon.sandbox.log_path}\nCtrl-C stops and cleans up.", flush=True)
    with suppress(KeyboardInterrupt):
        while True:  # with one long wait, Ctrl-C just before it would be lost
            time.sleep(1)
    print()


def stop(daemon: Daemon) -> str:
    """The error of a daemon that did not end well, else None."""
    try:
        daemon.stop()
    except AssertionError as error:
        return f"The daemon did not end well: {error}"
    finally:
        machines.end(daemon.sandbox)
    return ""


def tell(story: Story, instances: bool) -> None:
    chapters = [first_client, second_client, sudden_death, locked_out]
    for chapter in [*chapters, an_instance] if instances else chapters:
        chapter(story)
    if story.failures:
        print("\nNot as documented:", *story.failures, sep="\n  ")
        print(f"\nThe daemon's log:\n{story.daemon.log_text()}")
    else:
        print("\nEvery step came out as documented.", flush=True)


def main(arguments: Sequence[str]) -> int:
    parser = argparse.ArgumentParser(prog="./dev run", description=__doc__)
    parser.add_argument("--once", action="store_true", help="end after the story")
    options = parser.parse_args(arguments)

    signal.signal(signal.SIGTERM, signal.getsignal(signal.SIGINT))
    try:
        return run(options.once)
    except KeyboardInterrupt:
        print("\nInterrupted. What was started is stopped and removed.")
        return INTERRUPTED
    except BrokenPipeError:
        # stdout's reader has gone: Python must not flush it at its end, either.
        os.dup2(os.open(os.devnull, os.O_WRONLY), sys.stdout.fileno())
        return UNHEARD
    except OSError as error:
        print(f"dev: the story can't be told here: {error}", file=sys.stderr)
        return 1


def run(once: bool) -> int:
    need_kernel_files()
    people, image = choose_people(), tiny_image()
    # Root's checkout may be in a directory that the instances' user can't enter.
    sandbox = Sandbox.create(CHECKOUT / ".run" if os.geteuid() else None)
    try:
        with served(image, sandbox) as environment:
            daemon = Daemon(sandbox, activated=True, env=environment)
            story = Story(daemon, people)
            try:
                daemon.start()
                tell(story, image is not None)
                if not once:
                    serve(daemon, image is not None)
            except (AssertionError, EOFError, TimeoutError, subprocess.TimeoutExpired) as error:
                story.failures.append(f"{story.step or 'The start'}: {error}")
                print(f"\nBroken off: {error}\n\nThe daemon's log:\n{daemon.log_text()}")
            finally:
                trouble = stop(daemon)  # not reported after Ctrl-C, which may interrupt it anywhere
    except BrokenPipeError:
        raise
    except OSError as error:
        raise OSError(f"{error.strerror or error}, in {sandbox.root} or for it") from None
    finally:
        sandbox.remove()
    if trouble:
        print(f"\n{trouble}", file=sys.stderr)
    return 1 if trouble or story.failures else 0


if __name__ == "__main__":
    sys.exit(main(sys.argv[1:]))
