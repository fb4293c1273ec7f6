"""x"""
from .edits import Edit
from .module import Source
def standardised_inputs(source: Source, file: str, line: int) -> tuple[Edit, ...]:
    return ()
