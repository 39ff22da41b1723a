"""Helpers of the tests: real parts put together small, and clients that are not ours."""
