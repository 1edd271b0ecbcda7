ALTER TABLE tidegauge.metric_metadata
    DROP CONSTRAINT metric_metadata_application_id_fkey,
    ADD CONSTRAINT metric_metadata_application_id_fkey FOREIGN KEY (application_id) REFERENCES tidegauge.applications;
ALTER TABLE tidegauge.span_names
    DROP CONSTRAINT span_names_application_id_fkey,
    ADD CONSTRAINT span_names_application_id_fkey FOREIGN KEY (application_id) REFERENCES tidegauge.applications;
DROP INDEX tidegauge.series_scope;
DROP INDEX tidegauge.series_marked;
DROP INDEX tidegauge.scopes_marked;
DROP INDEX tidegauge.resources_marked;
DROP INDEX tidegauge.applications_marked;
-- A version that does not know marks must not find any.
UPDATE tidegauge.applications SET deletion_epoch = NULL WHERE deletion_epoch IS NOT NULL;
UPDATE tidegauge.resources SET deletion_epoch = NULL WHERE deletion_epoch IS NOT NULL;
UPDATE tidegauge.scopes SET deletion_epoch = NULL WHERE deletion_epoch IS NOT NULL;
UPDATE tidegauge.series SET deletion_epoch = NULL WHERE deletion_epoch IS NOT NULL;
ALTER TABLE tidegauge.series DROP COLUMN referenced_at;
ALTER TABLE tidegauge.scopes DROP COLUMN referenced_at;
ALTER TABLE tidegauge.resources DROP COLUMN referenced_at;
ALTER TABLE tidegauge.applications DROP COLUMN referenced_at;
DROP TABLE tidegauge.collection_checks;
DROP TABLE tidegauge.collections;
DROP TABLE tidegauge.rollup_repairs;
