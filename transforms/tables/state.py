"""What the build carries from one snapshot date to the next, so that a day costs what the day brought.

These tables lie under lake/state, are no product, and are made anew by a rebuild.
"""

import dataframely as dy

from transforms.tables.declaration import Table


class StateEntity(Table):
    """One row per payload kind and entity: the document that was seen last.

    `is_settled` says that this document needs no second look: it was valid, it was decoded under a complete crawl, and
    the entity was not found gone since. `is_listed` says that a list has shown the entity since it was last gone: then
    lists are its source, and else its answers by id.
    """

    kind = dy.String(primary_key=True)
    entity_id = dy.String(primary_key=True)
    content_hash = dy.String()
    is_settled = dy.Bool()
    is_listed = dy.Bool()
