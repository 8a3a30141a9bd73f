-- How much of the log each PIM's events take is summed up at a start, from this index alone: `pos` stands in it a
-- second time, so that it comes before the length.
DROP INDEX frames_by_pim;
CREATE INDEX frames_by_pim ON frames (pim, pos, length(body));
