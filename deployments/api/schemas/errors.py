"""The one shape of every answer that is not a success: what OpenAI's clients read."""

from typing import Annotated

from pydantic import BaseModel, Field


class ErrorBody(BaseModel):
    """What went wrong."""

    message: Annotated[
        str,
        Field(
            description="A sentence that names the value and the fix",
            examples=["n: send at most 10"],
        ),
    ]
    type: Annotated[
        str, Field(description="Family of the error", examples=["invalid_request_error"])
    ]
    param: Annotated[
        str | None, Field(description="The field at fault, if one is", examples=["n"])
    ] = None
    code: Annotated[
        str | None, Field(description="The error, for machines", examples=["invalid_value"])
    ] = None


class ErrorEnvelope(BaseModel):
    """The body of every answer that is not a success."""

    error: Annotated[
        ErrorBody,
        Field(
            description="What went wrong",
            examples=[{"message": "...", "type": "invalid_request_error"}],
        ),
    ]
