-- A store of version 1, as the release that knew no other wrote it: 24 views from 2026-11-01 on, 13 hours apart, of 7 users.
PRAGMA application_id = 1751409524;
PRAGMA user_version = 1;
BEGIN TRANSACTION;
CREATE TABLE counts (
    bucket INTEGER NOT NULL,
    series INTEGER NOT NULL,
    count  INTEGER NOT NULL,
    PRIMARY KEY (bucket, series)
) STRICT, WITHOUT ROWID;
INSERT INTO "counts" VALUES(0,1,24);
INSERT INTO "counts" VALUES(1099512125968,1,1);
INSERT INTO "counts" VALUES(1099512125981,1,1);
INSERT INTO "counts" VALUES(1099512125994,1,1);
INSERT INTO "counts" VALUES(1099512126007,1,1);
INSERT INTO "counts" VALUES(1099512126020,1,1);
INSERT INTO "counts" VALUES(1099512126033,1,1);
INSERT INTO "counts" VALUES(1099512126046,1,1);
INSERT INTO "counts" VALUES(1099512126059,1,1);
INSERT INTO "counts" VALUES(1099512126072,1,1);
INSERT INTO "counts" VALUES(1099512126085,1,1);
INSERT INTO "counts" VALUES(1099512126098,1,1);
INSERT INTO "counts" VALUES(1099512126111,1,1);
INSERT INTO "counts" VALUES(1099512126124,1,1);
INSERT INTO "counts" VALUES(1099512126137,1,1);
INSERT INTO "counts" VALUES(1099512126150,1,1);
INSERT INTO "counts" VALUES(1099512126163,1,1);
INSERT INTO "counts" VALUES(1099512126176,1,1);
INSERT INTO "counts" VALUES(1099512126189,1,1);
INSERT INTO "counts" VALUES(1099512126202,1,1);
INSERT INTO "counts" VALUES(1099512126215,1,1);
INSERT INTO "counts" VALUES(1099512126228,1,1);
INSERT INTO "counts" VALUES(1099512126241,1,1);
INSERT INTO "counts" VALUES(1099512126254,1,1);
INSERT INTO "counts" VALUES(1099512126267,1,1);
INSERT INTO "counts" VALUES(2199023276310,1,2);
INSERT INTO "counts" VALUES(2199023276311,1,2);
INSERT INTO "counts" VALUES(2199023276312,1,2);
INSERT INTO "counts" VALUES(2199023276313,1,2);
INSERT INTO "counts" VALUES(2199023276314,1,2);
INSERT INTO "counts" VALUES(2199023276315,1,2);
INSERT INTO "counts" VALUES(2199023276316,1,1);
INSERT INTO "counts" VALUES(2199023276317,1,2);
INSERT INTO "counts" VALUES(2199023276318,1,2);
INSERT INTO "counts" VALUES(2199023276319,1,2);
INSERT INTO "counts" VALUES(2199023276320,1,2);
INSERT INTO "counts" VALUES(2199023276321,1,2);
INSERT INTO "counts" VALUES(2199023276322,1,1);
CREATE TABLE damaged (
    series INTEGER NOT NULL,
    bucket INTEGER NOT NULL,
    found  INTEGER NOT NULL,
    united INTEGER NOT NULL,
    blob   BLOB    NOT NULL
) STRICT;
CREATE TABLE ledger (
    entry  TEXT    NOT NULL,
    reason TEXT    NOT NULL,
    count  INTEGER NOT NULL,
    PRIMARY KEY (entry, reason)
) STRICT, WITHOUT ROWID;
INSERT INTO "ledger" VALUES('stored','',24);
CREATE TABLE marks (
    name TEXT    NOT NULL PRIMARY KEY,
    at   INTEGER NOT NULL,
    made INTEGER NOT NULL
) STRICT, WITHOUT ROWID;
CREATE TABLE per_value (
    bucket INTEGER NOT NULL,
    series INTEGER NOT NULL,
    value  INTEGER NOT NULL,
    count  INTEGER NOT NULL,
    PRIMARY KEY (bucket, series, value)
) STRICT, WITHOUT ROWID;
CREATE TABLE producers (
    id       BLOB    NOT NULL PRIMARY KEY,
    sequence INTEGER NOT NULL,
    seen     INTEGER NOT NULL
) STRICT, WITHOUT ROWID;
INSERT INTO "producers" VALUES(X'1B701E5FC97B5FDB7EB28A448DC356D0',1,1795348800);
CREATE TABLE recorded (
    series INTEGER NOT NULL,
    since  INTEGER NOT NULL,
    until  INTEGER,
    PRIMARY KEY (series, since)
) STRICT, WITHOUT ROWID;
INSERT INTO "recorded" VALUES(1,1793491200,1794654000);
INSERT INTO "recorded" VALUES(2,1793491200,1794654000);
INSERT INTO "recorded" VALUES(3,1793491200,1794654000);
CREATE TABLE series (
    id   INTEGER NOT NULL PRIMARY KEY,
    key  TEXT    NOT NULL,
    kind INTEGER NOT NULL,
    UNIQUE (key, kind)
) STRICT;
INSERT INTO "series" VALUES(1,'page_viewed',1);
INSERT INTO "series" VALUES(2,'page_viewed-operator:sum(value)',2);
INSERT INTO "series" VALUES(3,'page_viewed-user',3);
CREATE TABLE sketches (
    bucket INTEGER NOT NULL,
    series INTEGER NOT NULL,
    blob   BLOB    NOT NULL,
    PRIMARY KEY (bucket, series)
) STRICT;
INSERT INTO "sketches" VALUES(2199023276310,3,X'48012E01020025754675D665002A25110C');
INSERT INTO "sketches" VALUES(2199023276311,3,X'48012E0102006C8147DAAD0E0638366B6C');
INSERT INTO "sketches" VALUES(2199023276312,3,X'48012E0102009842F9F41E58073F7E7720');
INSERT INTO "sketches" VALUES(2199023276313,3,X'48012E010200237546C5CDBB05341DF04D');
INSERT INTO "sketches" VALUES(2199023276314,3,X'48012E010200EAACCBB0C023058EC4FCA3');
INSERT INTO "sketches" VALUES(2199023276315,3,X'48012E010200B45B1DFC1E5807CB5181ED');
INSERT INTO "sketches" VALUES(2199023276316,3,X'48012E01010052289F02F65FAFF1');
INSERT INTO "sketches" VALUES(2199023276317,3,X'48012E010200237546C5CDBB05341DF04D');
INSERT INTO "sketches" VALUES(2199023276318,3,X'48012E010200EAACCBB0C023058EC4FCA3');
INSERT INTO "sketches" VALUES(2199023276319,3,X'48012E010200B45B1DFC1E5807CB5181ED');
INSERT INTO "sketches" VALUES(2199023276320,3,X'48012E010200919B774BA17C029235F8B1');
INSERT INTO "sketches" VALUES(2199023276321,3,X'48012E01020025754675D665002A25110C');
INSERT INTO "sketches" VALUES(2199023276322,3,X'48012E0101002EF04801AAB4B3BF');
INSERT INTO "sketches" VALUES(0,3,X'48012E010700156BEA8CCACDBB9D75190B3C52B73A48A17CBE07D6E84BC054');
CREATE TABLE sources (
    name     TEXT    NOT NULL PRIMARY KEY,
    offset   INTEGER NOT NULL,
    digest   BLOB    NOT NULL,
    lines    INTEGER NOT NULL,
    accepted INTEGER NOT NULL,
    latest   INTEGER,
    seen     INTEGER NOT NULL
) STRICT, WITHOUT ROWID;
INSERT INTO "sources" VALUES('views',2116,X'8B7CA278DAB9C4CDEEA3F0BDDF679A46E45E4806D03940C50D443AC6B96AD87C',24,24,1794567600,1795348800);
CREATE TABLE store (
    one           INTEGER NOT NULL PRIMARY KEY CHECK (one = 1),
    uuid          BLOB    NOT NULL,
    created       INTEGER NOT NULL,
    committed     INTEGER,
    united_bucket INTEGER NOT NULL,
    united_series INTEGER NOT NULL DEFAULT 0,
    hours_from    INTEGER NOT NULL DEFAULT 0,
    days_from     INTEGER NOT NULL DEFAULT 0,
    definitions   TEXT,
    recorded      TEXT
) STRICT;
INSERT INTO "store" VALUES(1,X'FAE00742E8339C21205838AF97BE19FD',1795348800,1795348800,2199023276322,3,0,0,'{"version":1,"events":[{"action":"page_viewed","description":"A page was viewed","internal_events":true,"category":null,"identifiers":["user"],"additional_properties":{"label":"Which page","value":"How long, in seconds"},"extra_properties":null,"product_group":"pages","product_categories":[],"milestone":"1.0","introduced_by_url":null,"removed":false,"milestone_removed":null,"removed_by_url":null,"tiers":["free"],"classification":null,"extra_tracking_classes":[],"extra_trackers":null,"iglu_schema_url":null}],"metrics":[{"key_path":"counts.people","time_frame":"all","status":"active","data_source":"internal_events","data_category":"optional","value_type":"number","rules":[{"event":"page_viewed","filter":{},"measure":{"unique":"user"}}],"without_rules":null,"options":null,"instrumentation_class":null,"notes":{"description":"People who viewed pages","name":null,"product_group":"pages","product_categories":[],"milestone":"1.0","milestone_removed":null,"introduced_by_url":null,"removed_by_url":null,"repair_issue_url":null,"performance_indicator_type":[],"tiers":["free"],"value_json_schema":null}},{"key_path":"counts.people_monthly","time_frame":"28d","status":"active","data_source":"internal_events","data_category":"optional","value_type":"number","rules":[{"event":"page_viewed","filter":{},"measure":{"unique":"user"}}],"without_rules":null,"options":null,"instrumentation_class":null,"notes":{"description":"People who viewed pages","name":null,"product_group":"pages","product_categories":[],"milestone":"1.0","milestone_removed":null,"introduced_by_url":null,"removed_by_url":null,"repair_issue_url":null,"performance_indicator_type":[],"tiers":["free"],"value_json_schema":null}},{"key_path":"counts.people_weekly","time_frame":"7d","status":"active","data_source":"internal_events","data_category":"optional","value_type":"number","rules":[{"event":"page_viewed","filter":{},"measure":{"unique":"user"}}],"without_rules":null,"options":null,"instrumentation_class":null,"notes":{"description":"People who viewed pages","name":null,"product_group":"pages","product_categories":[],"milestone":"1.0","milestone_removed":null,"introduced_by_url":null,"removed_by_url":null,"repair_issue_url":null,"performance_indicator_type":[],"tiers":["free"],"value_json_schema":null}},{"key_path":"counts.seconds","time_frame":"all","status":"active","data_source":"internal_events","data_category":"optional","value_type":"number","rules":[{"event":"page_viewed","filter":{},"measure":"sum"}],"without_rules":null,"options":null,"instrumentation_class":null,"notes":{"description":"How long","name":null,"product_group":"pages","product_categories":[],"milestone":"1.0","milestone_removed":null,"introduced_by_url":null,"removed_by_url":null,"repair_issue_url":null,"performance_indicator_type":[],"tiers":["free"],"value_json_schema":null}}]}','[]');
CREATE TABLE sums (
    bucket    INTEGER NOT NULL,
    series    INTEGER NOT NULL,
    sum       REAL    NOT NULL,
    carry     REAL    NOT NULL,
    saturated INTEGER NOT NULL,
    PRIMARY KEY (bucket, series)
) STRICT, WITHOUT ROWID;
INSERT INTO "sums" VALUES(0,2,138.0,0.0,0);
INSERT INTO "sums" VALUES(1099512125968,2,0.0,0.0,0);
INSERT INTO "sums" VALUES(1099512125981,2,0.5,0.0,0);
INSERT INTO "sums" VALUES(1099512125994,2,1.0,0.0,0);
INSERT INTO "sums" VALUES(1099512126007,2,1.5,0.0,0);
INSERT INTO "sums" VALUES(1099512126020,2,2.0,0.0,0);
INSERT INTO "sums" VALUES(1099512126033,2,2.5,0.0,0);
INSERT INTO "sums" VALUES(1099512126046,2,3.0,0.0,0);
INSERT INTO "sums" VALUES(1099512126059,2,3.5,0.0,0);
INSERT INTO "sums" VALUES(1099512126072,2,4.0,0.0,0);
INSERT INTO "sums" VALUES(1099512126085,2,4.5,0.0,0);
INSERT INTO "sums" VALUES(1099512126098,2,5.0,0.0,0);
INSERT INTO "sums" VALUES(1099512126111,2,5.5,0.0,0);
INSERT INTO "sums" VALUES(1099512126124,2,6.0,0.0,0);
INSERT INTO "sums" VALUES(1099512126137,2,6.5,0.0,0);
INSERT INTO "sums" VALUES(1099512126150,2,7.0,0.0,0);
INSERT INTO "sums" VALUES(1099512126163,2,7.5,0.0,0);
INSERT INTO "sums" VALUES(1099512126176,2,8.0,0.0,0);
INSERT INTO "sums" VALUES(1099512126189,2,8.5,0.0,0);
INSERT INTO "sums" VALUES(1099512126202,2,9.0,0.0,0);
INSERT INTO "sums" VALUES(1099512126215,2,9.5,0.0,0);
INSERT INTO "sums" VALUES(1099512126228,2,10.0,0.0,0);
INSERT INTO "sums" VALUES(1099512126241,2,10.5,0.0,0);
INSERT INTO "sums" VALUES(1099512126254,2,11.0,0.0,0);
INSERT INTO "sums" VALUES(1099512126267,2,11.5,0.0,0);
INSERT INTO "sums" VALUES(2199023276310,2,0.5,0.0,0);
INSERT INTO "sums" VALUES(2199023276311,2,2.5,0.0,0);
INSERT INTO "sums" VALUES(2199023276312,2,4.5,0.0,0);
INSERT INTO "sums" VALUES(2199023276313,2,6.5,0.0,0);
INSERT INTO "sums" VALUES(2199023276314,2,8.5,0.0,0);
INSERT INTO "sums" VALUES(2199023276315,2,10.5,0.0,0);
INSERT INTO "sums" VALUES(2199023276316,2,6.0,0.0,0);
INSERT INTO "sums" VALUES(2199023276317,2,13.5,0.0,0);
INSERT INTO "sums" VALUES(2199023276318,2,15.5,0.0,0);
INSERT INTO "sums" VALUES(2199023276319,2,17.5,0.0,0);
INSERT INTO "sums" VALUES(2199023276320,2,19.5,0.0,0);
INSERT INTO "sums" VALUES(2199023276321,2,21.5,0.0,0);
INSERT INTO "sums" VALUES(2199023276322,2,11.5,0.0,0);
CREATE TABLE value_names (
    series INTEGER NOT NULL,
    text   TEXT    NOT NULL,
    value  INTEGER NOT NULL,
    PRIMARY KEY (series, text),
    UNIQUE (series, value)
) STRICT, WITHOUT ROWID;
CREATE INDEX damaged_series ON damaged (series, bucket);
COMMIT;
