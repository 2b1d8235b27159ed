"""The routes of the Site API as the live service answers today (`--dialect live`), after docs/api-notes.md.

Numbers in brackets, in this folder, are its sections. Errors have the many shapes of the service. With a wrong key the
reader is anonymous if the operation needs no key, and gets a 401 if it does. The country of a reader comes from the
edge's header CF-IPCountry. Overload and pages of the edge are ordered as faults.
"""

from starlette.routing import Route

from emulator.routes.live.answers import regional
from emulator.routes.live.images import ImageRoutes
from emulator.routes.live.member import MemberRoutes
from emulator.routes.live.models import ModelRoutes
from emulator.routes.live.names import NameRoutes
from emulator.routes.live.service import LiveService
from emulator.routes.live.versions import VersionRoutes


def live_routes(service: LiveService) -> list[Route]:
    """All operations, as routes below `BASE_PATH`; none of them answers in a blocked region."""
    groups = (
        ModelRoutes(service),
        VersionRoutes(service),
        ImageRoutes(service),
        NameRoutes(service),
        MemberRoutes(service),
    )
    routes = [route for group in groups for route in group.routes()]
    return [Route(one.path, regional(one.endpoint), methods=list(one.methods or ())) for one in routes]
