"""The classes that users build for a call. Each checks itself."""

from __future__ import annotations

from typing import Literal

from attrs import field, frozen
from attrs.validators import optional

from .checks import is_filled, is_id, is_media_type, is_status, to_status
from .models import ReviewStatus


@frozen
class Attachment:
    """An uploaded image or video, to add to a review or to remove from it.

    Args:
        id: the uploaded file's id.
        type: `"image"` or `"video"`.
        multiple_file_id: the id of the file record behind it, if it has one.

    Raises:
        InvalidArgumentError: a field is outside its limits.

    https://docs.mayar.id/api-reference-v2/reviews/create
    """

    id: str = field(validator=is_filled)
    type: Literal["image", "video"] = field(validator=is_media_type)
    multiple_file_id: str | None = field(default=None, validator=optional(is_filled))


@frozen
class StatusUpdate:
    """The new status of a review.

    Args:
        id: the review's id, 3-100 characters.
        status: a `ReviewStatus`, or its string.
        payment_link_id: the review's product, 3-100 characters; optional.

    Raises:
        InvalidArgumentError: a field is outside its limits.

    https://docs.mayar.id/api-reference-v2/reviews/bulkstatusupdate
    """

    id: str = field(validator=is_id)
    status: ReviewStatus = field(converter=to_status, validator=is_status)
    payment_link_id: str | None = field(default=None, validator=optional(is_id))
