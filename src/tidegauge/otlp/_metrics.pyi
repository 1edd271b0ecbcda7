from tidegauge.model.batch import MetadataEntry, MetricBatch
from tidegauge.otlp.budget import Budget
from tidegauge.otlp.items import Part
from tidegauge.otlp.metrics import MetricDecoder
from tidegauge.otlp.origins import Origins
from tidegauge.otlp.points import PointDecoder
from tidegauge.otlp.rejections import Rejections
from tidegauge.otlp.series import SeriesTable

class MetricReader:
    def __init__(
        self,
        decoder: MetricDecoder,
        origins: Origins,
        batch: MetricBatch,
        rejections: Rejections,
        budget: Budget,
        table: SeriesTable,
        points: PointDecoder,
        metadata: dict[tuple[int, str, str, str], MetadataEntry],
    ) -> None: ...
    def read(self, part: Part, body: bytes) -> bool: ...
