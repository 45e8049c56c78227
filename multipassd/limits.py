"""What a peer may take, each with its reason. Sizes in bytes, times in seconds."""

from dataclasses import dataclass

KIB, MIB = 1 << 10, 1 << 20


@dataclass(frozen=True, slots=True)
class PeerLimits:
    """What one connection may use."""

    message: int  # the longest request
    streams: int  # calls at a time
    buffers: int  # replies that the peer has not read yet
    idle: float  # without a call


# Whoever is not trusted sends `authenticate`, `ping` or a call that is refused: a passphrase and
# a verbosity fit into 16 KiB many times over.
UNTRUSTED = PeerLimits(message=16 * KIB, streams=4, buffers=64 * KIB, idle=60)
# A trusted client may send cloud-init data; gRPC's own default is 4 MiB and 100 streams.
TRUSTED = PeerLimits(message=4 * MIB, streams=100, buffers=4 * MIB, idle=3600)

REQUEST_BUFFERS = 64 * MIB  # unfinished requests of all connections together

CONNECTIONS = 4096  # about 90 KiB each: 360 MiB at the very worst
CONNECTIONS_PER_UID = 1024  # so four users are needed to come near the cap
RESERVED_CONNECTIONS = 512  # the last of CONNECTIONS: for root, the admin group, trusted clients
# Of those, how many may be in a handshake to show that they are trusted.
PROVISIONAL_CONNECTIONS = 64

ACCEPTS_PER_WAKEUP = 64  # then other connections have a turn
ACCEPT_PAUSE = 0.5  # after the kernel refused a descriptor (EMFILE): retry later, don't spin
BACKLOG = 4096  # callers that wait while the daemon starts or pauses

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

# Frames that make work and carry no call (PING, SETTINGS, PRIORITY, RST_STREAM, empty DATA):
# an honest client sends a handful a call.
CONTROL_FRAMES_BURST = 1000
CONTROL_FRAMES_PER_SECOND = 200.0
HEADER_LIST = 16 * KIB  # gRPC's C++ default is 8 KiB
# What is said of a failed call, encoded, and what is told to programs: together they fit into the
# 8 KiB of headers that gRPC's own clients take.
STATUS_MESSAGE = 4 * KIB
STATUS_DETAILS = 3 * KIB
PIECE = 16 * KIB  # handed to h2 at a time: Debian 12's takes the square of it
CONTINUATIONS = 4  # frames of one header block: 64 KiB, four times the list they may hold
CLOSED_STREAMS = 1024  # ended calls a connection is remembered for; h2 would keep 8 MiB of them

PASSPHRASE = 4 * KIB  # bytes hashed; keeps scrypt's first pass short
