"""Made sets as answers: JSON, a zip file, a contact sheet, a stream of events."""
