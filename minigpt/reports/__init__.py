"""One page about one model and one prompt: `report(model, tokenizer, prompt).save("report.html")`."""

from .assembly import Report, Section, report

__all__ = ["Report", "Section", "report"]
