"""The fields of requests and answers, as pydantic checks and OpenAPI shows them."""
