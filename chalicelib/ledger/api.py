"""HTTP routes of the ledger, for administrators."""

from chalicelib.core.errors import Invalid
from chalicelib.core.web import ADMIN_ONLY, Call, Page, PageQuery, Routes, paging
from chalicelib.ledger import wiring
from chalicelib.ledger.models import Entry, Verified, VerifyQuery
from chalicelib.ledger.verify import verify

routes = Routes(__name__)


@routes.add("GET", "/api/ledger", roles=ADMIN_ONLY, query=PageQuery, answers={200: Page[Entry]})
def list_entries(call: Call[None, PageQuery]) -> str:
    """List entries in the order of creation."""

    def fetch(limit: int, after: str | None) -> list[Entry]:
        return wiring.store().entries(int(after or 0), limit)

    return paging.cursors().render("ledger", call.query, fetch, lambda entry: str(entry.seq))


@routes.add(
    "GET", "/api/ledger/verify", roles=ADMIN_ONLY, query=VerifyQuery, answers={200: Verified}, raises=(Invalid,)
)
def verify_chain(call: Call[None, VerifyQuery]) -> Verified:
    """Verify the chain: a bounded number of entries per call; continue with `nextCursor`."""
    return verify(wiring.store(), paging.cursors(), call.query.cursor)
