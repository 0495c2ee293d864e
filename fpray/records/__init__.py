"""The records: one folder for each trial, and the truth about it. Everything else is derived from them.

A `Record` says of a `Trial` (method, hyperparameters, seed, model) how far it is and what it gave: an `Epoch` for each
one trained, a `Count` for each split evaluated, a `CurvePoint` for each alpha, its `Movement` from the reference,
`Cost` and `Provenance`; beside it lie the weights, and the `ImageResults` of each split. A `SweepFolder` holds all of
a sweep: its `RecordStore` reads and writes the records, a trial's process writes through an `AttemptStore`, which
refuses once a later attempt has begun, and its stop request ends trials early. `held` keeps a second command off the
same folder.

Records are read and listed without torch.
"""

from fpray.records.folder import SweepFolder
from fpray.records.identity import identify, renew
from fpray.records.images import LARGEST_LOSS, SEEN, UNREADABLE, ImageResults
from fpray.records.known import known_storages, remember
from fpray.records.lock import Hold, LostHoldError, held, holder
from fpray.records.provenance import commit, provenance_of, versions
from fpray.records.record import (
    Cost,
    Count,
    CurvePoint,
    Epoch,
    Movement,
    Provenance,
    Record,
    accuracies,
    accuracy_key,
    column_of,
)
from fpray.records.stop import StopRequest
from fpray.records.store import AttemptStore, DamagedRecordError, RecordStore, SupersededError
from fpray.records.trial import ALPHA, Trial, configuration_id, configuration_of, trial_id
from fpray.records.weights import classes_of, digest_of, kept_bytes, prune, pruned_digest

__all__ = [
    "ALPHA",
    "AttemptStore",
    "Cost",
    "Count",
    "CurvePoint",
    "DamagedRecordError",
    "Epoch",
    "Hold",
    "ImageResults",
    "LARGEST_LOSS",
    "LostHoldError",
    "Movement",
    "Provenance",
    "Record",
    "RecordStore",
    "StopRequest",
    "SEEN",
    "UNREADABLE",
    "SupersededError",
    "SweepFolder",
    "Trial",
    "accuracies",
    "accuracy_key",
    "classes_of",
    "column_of",
    "commit",
    "configuration_id",
    "configuration_of",
    "digest_of",
    "prune",
    "pruned_digest",
    "held",
    "holder",
    "identify",
    "kept_bytes",
    "known_storages",
    "provenance_of",
    "remember",
    "renew",
    "trial_id",
    "versions",
]
