"""A diagnosis in a form for people or programs: `render(diagnosis) -> str`."""
