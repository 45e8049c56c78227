"""Limits on what a peer may use, each with its reason. Sizes in bytes, times in seconds."""

from typing import NamedTuple

from multipassd.auth.standing import Standing

KIB, MIB = 1 << 10, 1 << 20


class PeerLimits(NamedTuple):
    """What one connection may use."""

    message: int  # the longest request
    streams: int  # calls at a time
    buffers: int  # replies that the peer has not read yet
    idle: float  # without a call


# A peer without trust sends `authenticate`, `ping` or a call that is refused: a passphrase and
# a verbosity fit into 16 KiB many times over.
UNTRUSTED = PeerLimits(message=16 * KIB, streams=4, buffers=64 * KIB, idle=60)
# A trusted client may send cloud-init data; gRPC's own default is 4 MiB and 100 streams.
TRUSTED = PeerLimits(message=4 * MIB, streams=100, buffers=4 * MIB, idle=3600)


def of(standing: Standing) -> PeerLimits:
    return TRUSTED if standing.trusted else UNTRUSTED


# Unfinished requests. Trusted clients and others have a pool each, so that the others never fill
# what the trusted need; of either pool a person has a share.
TRUSTED_BUFFERS, TRUSTED_SHARE = 64 * MIB, 16 * MIB  # four launches with all the data there may be
STRANGERS_BUFFERS, STRANGERS_SHARE = 16 * MIB, 1 * MIB  # 64 requests of 16 KiB

CONNECTIONS = 4096  # about 90 KiB each: 360 MiB at the very worst
# So four persons are needed to come near the cap. As many again are kept of those that come after
# that and prove to be trusted.
CONNECTIONS_PER_PERSON = 1024
RESERVED_CONNECTIONS = 512  # the last of CONNECTIONS: for root, the admin group, trusted clients
# How many beyond those caps may be in a handshake to show that they are trusted. When there are
# more, the person with most of them loses its oldest.
PROVISIONAL_CONNECTIONS = 64
PROVISIONAL_PER_PERSON = 16

ACCEPT_SLICE = 0.0005  # of accepting at a time; then other connections have a turn
ACCEPT_PAUSE = 0.5  # after the kernel refused a descriptor (EMFILE): retry later, don't spin
# Callers that wait to be accepted. When a flood keeps the queue full, each caller waits for all of
# it: at 10 us each that is 5 ms. A caller that finds it full tries again
# (`client/transport/dial.py`).
BACKLOG = 512

HANDSHAKE_TIMEOUT = 5.0  # a handshake needs two round trips
REQUEST_TIMEOUT = 30.0  # from a call's headers to its whole message
ANSWER_TIMEOUT = 300.0  # for a question that a person has to read and to think about
WRITE_TIMEOUT = 30.0  # for a peer that doesn't read
CLOSE_TIMEOUT = 5.0  # for one that doesn't read the last bytes of a connection that ends
# After SIGTERM, for a handshake to end, and for a peer that was told to ask the next service to
# hear it and hang up. If we hung up first, a request on its way would break before the peer read
# why. On a busy host it may not run for a second.
DRAIN_SILENCE = 2.0
DRAIN_TIMEOUT = 10.0  # calls in flight at SIGTERM; systemd would kill after 30 s
# The same for calls of peers that are not trusted. An honest one takes the time of a hash; one that
# holds its request or our answer back, or waits for having guessed, must not hold up a restart.
DRAIN_STRANGERS = 3.0


# What peers without trust may cost: seconds of the event loop's processor time, a second. It is
# measured, so no kind of bytes is cheaper than it should be. A handshake and a refused call take
# some 3 ms.
class WorkRate(NamedTuple):
    """Seconds of processor time: per second, and at once."""

    share: float
    burst: float


STRANGERS_WORK = WorkRate(share=0.05, burst=0.25)  # some 15 commands a second, 80 at once
# For a user whose client proved to be trusted in the last KNOWN_FOR seconds. What that client does
# is free, so this is for the rest, such as a handshake that is not finished yet.
KNOWN_WORK = WorkRate(share=0.25, burst=1.0)
KNOWN_FOR = 24 * 3600.0
PERSONS = 4096  # whose work is remembered; of some 300 bytes each
REPORT_EVERY = 600.0  # a line in the log for each person that has used up its share
STRANGERS_SLICE = 0.001  # of work for strangers at a time; then trusted clients have a turn
PARKED_LOOK = 0.02  # how often those who have used up their share are looked at again
# What is not measured: taking a connection over and closing it; reading from it; beginning and
# ending a call.
CONNECTION_WORK, READ_WORK, CALL_WORK = 300e-6, 30e-6, 200e-6

# Requests that are streams: an SSH connection that is relayed to a guest. The window is what a peer
# may send ahead of a guest that does not read, and what is queued for a peer that does not read: at
# 50 ms it allows 10 MB/s. All of a person's windows fill their share of the request memory,
# TRUSTED_SHARE. A message has to fit into half of the window, as it is given back in halves.
STREAM_WINDOW = 512 * KIB
STREAMED_MESSAGE = 128 * KIB
STREAMS_PER_PERSON = 32

READ = 64 * KIB  # bytes taken from a connection at a time
STRANGERS_READ = 4 * KIB  # the same; they may have to wait in memory, 16 MiB for all CONNECTIONS
STRANGERS_PIECE = 256  # bytes of a stranger's HTTP/2 handled at a time: at most 28 frames, 1 ms

# Frames that make work and carry no call (PING, SETTINGS, PRIORITY, RST_STREAM, empty DATA):
# an honest client sends a handful a call. Counted by person, over all its connections.
CONTROL_FRAMES_BURST = 1000
CONTROL_FRAMES_PER_SECOND = 200.0
HEADER_LIST = 16 * KIB  # of a request; gRPC's C++ default is 8 KiB
# The message of a failed call, encoded, and its details for programs: together they fit into the
# 8 KiB of headers that gRPC's own clients take.
STATUS_MESSAGE = 4 * KIB
STATUS_DETAILS = 3 * KIB
CONTINUATIONS = 4  # frames of one header block, which may be no longer than HEADER_LIST
# Calls that were ended before their senders had ended: so many a connection is remembered for, as
# what was on its way then is no error. 100 KiB.
CLOSED_STREAMS = 1024

# A peer over TCP that is gone without a word, as after a sleep of its host or behind a cut cable,
# is noticed in about five minutes, as its ssh would notice a guest that is gone: with it ends what
# it has open in guests. Seconds, seconds, probes; milliseconds until data must be acknowledged.
ALIVE_AFTER, ALIVE_EVERY, ALIVE_COUNT = 60, 30, 8
UNANSWERED = 300_000

PASSPHRASE = 4 * KIB  # bytes hashed; keeps scrypt's first pass short
