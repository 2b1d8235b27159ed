"""Query parameters of the live service: the reading of their values, and the answer to invalid ones."""

from starlette.requests import Request

from emulator.parameters import BadParameterError, Reader, Sent, integer, one_of
from emulator.routes.live.answers import AnswerError, encode

TOO_MANY_PAGES = "You've requested too many pages, please use cursors instead"
#: The maximum of page * limit (1).
_DEEPEST = 1000
INT4 = 2_147_483_647
TRUE, FALSE = ("true", "1", "yes"), ("false", "0", "no")


def flag(name: str, values: list[str]) -> bool:
    return one_of(*TRUE, *FALSE)(name, values) in TRUE


def numbers(name: str, values: list[str]) -> frozenset[int]:
    return frozenset(integer()(name, [part]) for value in values for part in value.split(",") if part.strip())


def read(readers: dict[str, Reader[object]], request: Request, bare: bool = False) -> Sent:
    """The values of the sent parameters. An invalid one is a 400 with zod's issues, bare or as an error."""
    pairs = request.query_params.multi_items()
    sent = Sent()
    for name, reader in readers.items():
        values = [value for key, value in pairs if key == name]
        try:
            if values:
                sent[name] = reader(name, values)
        except BadParameterError as error:
            issues = [{"code": "invalid_value", "path": [name], "message": str(error)}]
            body = issues if bare else {"error": {"name": "ZodError", "message": encode(issues).decode()}}
            raise AnswerError(400, body) from None
    return sent


def path_id(request: Request) -> int:
    try:
        return int(integer(1, INT4)("id", [request.path_params["id"]]))
    except BadParameterError as error:
        raise AnswerError(400, {"error": f"✖ Invalid input: {error}"}) from None


def refuse_depth(sent: Sent) -> None:
    if sent.number("page", 0) * sent.number("limit", 100) > _DEEPEST:
        raise AnswerError(429, {"error": TOO_MANY_PAGES})
