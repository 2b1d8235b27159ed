"""What all operations of the live service share: the catalogue of the moment in its shape, and its key."""

from starlette.requests import Request
from starlette.responses import Response

from emulator.catalogue import Catalogue
from emulator.given import GivenMoment
from emulator.live.catalogue import LiveCatalogue
from emulator.live.day import LiveDay
from emulator.live.documents import LiveDocuments
from emulator.live.given import LiveGiven
from emulator.live.traits import LiveTraits
from emulator.routes.live.answers import PUBLIC, AnswerError
from emulator.service import Service
from emulator.spec.catalogue import SimulatedDay


class LiveService:
    """A service with the catalogue of the moment in the live shape, and the rules of its key."""

    def __init__(self, service: Service) -> None:
        self.clock = service.clock
        self.member = service.member
        self.workers = service.workers
        self._key = service.key
        self._shown: LiveDay | LiveGiven | None = None
        self._simulation: tuple[LiveTraits, LiveDocuments] | None = None

    def show(self) -> LiveCatalogue:
        """The catalogue of the moment in the live service's shape."""
        catalogue = self.clock.catalogue()
        shown = self._shown
        if isinstance(shown, LiveGiven) and isinstance(catalogue, GivenMoment):
            shown.day = catalogue
        elif shown is None or shown.day is not catalogue:
            shown = self._shown = self._live(catalogue)
        return shown

    def live_day(self, day: SimulatedDay) -> LiveDay:
        if self._simulation is None:
            traits = LiveTraits(day.columns)
            self._simulation = traits, LiveDocuments(day.columns, day.world.documents, traits)
        return LiveDay(day, *self._simulation)

    def _live(self, catalogue: Catalogue) -> LiveDay | LiveGiven:
        if isinstance(catalogue, SimulatedDay):
            return self.live_day(catalogue)
        assert isinstance(catalogue, GivenMoment)
        return LiveGiven(catalogue)

    def is_signed_in(self, request: Request) -> bool:
        """Whether the key is valid: the header's second word after any first one, else `token` (1)."""
        header = request.headers.get("authorization")
        sent = request.query_params.get("token") if header is None else header.partition(" ")[2].split(" ")[0]
        return sent == self._key

    def require_key(self, request: Request) -> None:
        if not self.is_signed_in(request):
            raise AnswerError(401, {"error": "Unauthorized"})

    def mixed(self, request: Request, response: Response) -> Response:
        """The edge caches only the answers to anonymous readers (1)."""
        if not self.is_signed_in(request):
            response.headers.update(PUBLIC)
        return response
