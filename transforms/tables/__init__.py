"""The star schema, declared once. `TABLES` lists it in reading order: dimensions, facts, marts, operations."""

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
from transforms.tables.marts import MartBaseModelDaily
from transforms.tables.operations import OpsDrift, OpsQuarantine, OpsSnapshot

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
    FactModelDaily,
    FactModelVersionDaily,
    FactImageDaily,
    FactCreatorDaily,
    FactTagDaily,
    MartBaseModelDaily,
    OpsSnapshot,
    OpsQuarantine,
    OpsDrift,
)

__all__ = [
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
    "FactCreatorDaily",
    "FactImageDaily",
    "FactModelDaily",
    "FactModelVersionDaily",
    "FactTagDaily",
    "FileHash",
    "HistoryTable",
    "MartBaseModelDaily",
    "ModelText",
    "OpsDrift",
    "OpsQuarantine",
    "OpsSnapshot",
    "Table",
]
