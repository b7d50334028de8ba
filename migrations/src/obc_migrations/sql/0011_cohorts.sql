-- Cohorts are saved like insights and dashboards. A list of 10,000 people is longer than any question.
ALTER TABLE saved_items
    DROP CONSTRAINT saved_items_type_check,
    ADD CONSTRAINT saved_items_type_check CHECK (type IN ('insight', 'dashboard', 'cohort'));
ALTER TABLE saved_versions
    DROP CONSTRAINT saved_versions_definition_check,
    ADD CONSTRAINT saved_versions_definition_check CHECK (octet_length(definition::text) <= 524288);
