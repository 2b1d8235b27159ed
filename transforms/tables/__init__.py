"""The star schema, declared once. `TABLES` has it in reading order: dimensions, look-ups, facts, marts, operations."""

from transforms.tables.declaration import HistoryTable, Table
from transforms.tables.dimensions import (
    BridgeModelTag,
    DimBaseModel,
    DimCreator,
    DimDate,
    DimFile,
    DimImage,
    DimModel,
    DimModelVersion,
    DimTag,
    FileHash,
    ModelText,
)
from transforms.tables.facts import (
    FactCreatorDaily,
    FactImageDaily,
    FactModelDaily,
    FactModelVersionDaily,
    FactTagDaily,
)
from transforms.tables.lookups import DimUser, HashMatch, ModelVersionDetail, ModelVersionMini
from transforms.tables.marts import MartBaseModelDaily, MartDaily
from transforms.tables.operations import (
    OpsDecision,
    OpsDrift,
    OpsQuarantine,
    OpsSnapshot,
    OpsWarning,
    OpsWithheld,
)

#: Raised with every change of a table, of what is carried from day to day, or of a rule wherever it stands: a star that
#: was made under an earlier one is made again from raw. 1 is what was before there was a number.
DECLARATIONS_VERSION = 8

TABLES: tuple[type[Table], ...] = (
    DimDate,
    DimBaseModel,
    DimCreator,
    DimModel,
    ModelText,
    DimModelVersion,
    DimFile,
    FileHash,
    DimTag,
    BridgeModelTag,
    DimImage,
    DimUser,
    ModelVersionDetail,
    ModelVersionMini,
    HashMatch,
    FactModelDaily,
    FactModelVersionDaily,
    FactImageDaily,
    FactCreatorDaily,
    FactTagDaily,
    MartDaily,
    MartBaseModelDaily,
    OpsSnapshot,
    OpsDecision,
    OpsWithheld,
    OpsQuarantine,
    OpsDrift,
    OpsWarning,
)

__all__ = [
    "DECLARATIONS_VERSION",
    "TABLES",
    "BridgeModelTag",
    "DimBaseModel",
    "DimCreator",
    "DimDate",
    "DimFile",
    "DimImage",
    "DimModel",
    "DimModelVersion",
    "DimTag",
    "DimUser",
    "FactCreatorDaily",
    "FactImageDaily",
    "FactModelDaily",
    "FactModelVersionDaily",
    "FactTagDaily",
    "FileHash",
    "HashMatch",
    "HistoryTable",
    "MartBaseModelDaily",
    "MartDaily",
    "ModelText",
    "ModelVersionDetail",
    "ModelVersionMini",
    "OpsDecision",
    "OpsDrift",
    "OpsQuarantine",
    "OpsSnapshot",
    "OpsWarning",
    "OpsWithheld",
    "Table",
]
