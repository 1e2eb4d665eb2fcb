DELETE FROM raw.manifest WHERE system = $system;

DELETE FROM raw.stream_owner WHERE system = $system;

DELETE FROM raw.reading WHERE system = $system;

DELETE FROM raw.change WHERE system = $system;

DELETE FROM raw.mail_event WHERE system = $system;

DELETE FROM raw.campaign WHERE system = $system;

DELETE FROM raw.consent WHERE system = $system;

DELETE FROM raw.finding WHERE system = $system;
