"""multipass-trust: who may use the service, decided on its files, whether it runs or not.

One file a verb; this table says which there are.
"""

from multipassd.admin import (
    add,
    check,
    first_client,
    grant,
    import_,
    invite,
    list_,
    log_,
    remove,
    reset,
    tcp,
)
from multipassd.admin.access.verb import Verb

VERBS: tuple[Verb, ...] = (
    add.VERB,
    invite.VERB,
    list_.VERB,
    grant.VERB,
    remove.VERB,
    reset.VERB,
    first_client.VERB,
    check.VERB,
    import_.VERB,
    log_.VERB,
    tcp.VERB,
)
