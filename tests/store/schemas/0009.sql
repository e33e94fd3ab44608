BEGIN TRANSACTION;
CREATE TABLE alembic_version (
	version_num VARCHAR(32) NOT NULL, 
	CONSTRAINT alembic_version_pkc PRIMARY KEY (version_num)
);
INSERT INTO "alembic_version" VALUES('0009');
CREATE TABLE alias_moves (
	seq INTEGER NOT NULL, 
	alias TEXT NOT NULL, 
	number BIGINT NOT NULL, 
	why TEXT NOT NULL, 
	from_id TEXT, 
	from_name TEXT, 
	to_id TEXT, 
	to_name TEXT, 
	figures JSON NOT NULL, 
	moved_at BIGINT NOT NULL, 
	moved_by TEXT, 
	CONSTRAINT pk_alias_moves PRIMARY KEY (seq), 
	CONSTRAINT uq_alias_moves_alias_number UNIQUE (alias, number)
);
INSERT INTO "alias_moves" VALUES(1,'prod',1,'set',NULL,NULL,'model-1','intent@1','{}',1800000000,'key-1');
CREATE TABLE aliases (
	name TEXT NOT NULL, 
	model_id TEXT NOT NULL, 
	CONSTRAINT pk_aliases PRIMARY KEY (name), 
	CONSTRAINT fk_aliases_model_id FOREIGN KEY(model_id) REFERENCES models (id)
);
INSERT INTO "aliases" VALUES('prod','model-1');
CREATE TABLE batch_events (
	seq INTEGER NOT NULL, 
	job_id TEXT NOT NULL, 
	name TEXT NOT NULL, 
	created_at BIGINT NOT NULL, 
	data JSON NOT NULL, 
	CONSTRAINT pk_batch_events PRIMARY KEY (seq), 
	CONSTRAINT fk_batch_events_job_id FOREIGN KEY(job_id) REFERENCES batches (id) ON DELETE CASCADE
);
INSERT INTO "batch_events" VALUES(1,'batch-1','status-updated',1800000000,'{"status": "QUEUED"}');
CREATE TABLE batch_metadata (
	batch_id TEXT NOT NULL, 
	name TEXT NOT NULL, 
	value TEXT NOT NULL, 
	CONSTRAINT pk_batch_metadata PRIMARY KEY (batch_id, name), 
	CONSTRAINT fk_batch_metadata_batch_id FOREIGN KEY(batch_id) REFERENCES batches (id) ON DELETE CASCADE
);
INSERT INTO "batch_metadata" VALUES('batch-1','team','a');
CREATE TABLE batches (
	seq INTEGER NOT NULL, 
	id TEXT NOT NULL, 
	endpoint TEXT NOT NULL, 
	model TEXT, 
	status TEXT NOT NULL, 
	input_files JSON NOT NULL, 
	inline BOOLEAN NOT NULL, 
	inline_key TEXT, 
	metadata JSON NOT NULL, 
	timeout_hours BIGINT NOT NULL, 
	total BIGINT NOT NULL, 
	completed BIGINT NOT NULL, 
	succeeded BIGINT NOT NULL, 
	failed BIGINT NOT NULL, 
	errors JSON NOT NULL, 
	output_file TEXT, 
	error_file TEXT, 
	attempt BIGINT NOT NULL, 
	deaths BIGINT NOT NULL, 
	owner TEXT, 
	lease_until DOUBLE, 
	cancel_requested BOOLEAN NOT NULL, 
	created_at BIGINT NOT NULL, 
	modified_at BIGINT NOT NULL, 
	started_at BIGINT, 
	completed_at BIGINT, 
	created_by TEXT, 
	CONSTRAINT pk_batches PRIMARY KEY (seq), 
	CONSTRAINT uq_batches_id UNIQUE (id)
);
INSERT INTO "batches" VALUES(1,'batch-1','/v1/classifications',NULL,'QUEUED','["file-2"]',0,NULL,'{"team": "a"}',24,0,0,0,0,'[]',NULL,NULL,0,0,NULL,NULL,0,1800000000,1800000000,NULL,NULL,NULL);
CREATE TABLE checkpoints (
	job_id TEXT NOT NULL, 
	step BIGINT NOT NULL, 
	created_at BIGINT NOT NULL, 
	metrics JSON NOT NULL, 
	CONSTRAINT pk_checkpoints PRIMARY KEY (job_id, step), 
	CONSTRAINT fk_checkpoints_job_id FOREIGN KEY(job_id) REFERENCES jobs (id) ON DELETE CASCADE
);
INSERT INTO "checkpoints" VALUES('job-1',5,1800000000,'{"loss": 0.25}');
CREATE TABLE counters (
	name TEXT NOT NULL, 
	value BIGINT NOT NULL, 
	CONSTRAINT pk_counters PRIMARY KEY (name)
);
INSERT INTO "counters" VALUES('models',3);
CREATE TABLE datasets (
	seq INTEGER NOT NULL, 
	id TEXT NOT NULL, 
	name TEXT NOT NULL, 
	type TEXT NOT NULL, 
	status TEXT NOT NULL, 
	error TEXT, 
	warnings JSON NOT NULL, 
	parts JSON NOT NULL, 
	metrics JSON NOT NULL, 
	bytes BIGINT NOT NULL, 
	created_at BIGINT NOT NULL, 
	modified_at BIGINT NOT NULL, 
	created_by TEXT, 
	CONSTRAINT pk_datasets PRIMARY KEY (seq), 
	CONSTRAINT uq_datasets_id UNIQUE (id)
);
INSERT INTO "datasets" VALUES(1,'dataset-1','rows','single-label-classification-finetune-input','validated',NULL,'[]','[{"file": "file-1"}]','{}',0,1800000000,1800000000,NULL);
CREATE TABLE file_uses (
	file_id TEXT NOT NULL, 
	user_id TEXT NOT NULL, 
	CONSTRAINT pk_file_uses PRIMARY KEY (file_id, user_id), 
	CONSTRAINT fk_file_uses_file_id FOREIGN KEY(file_id) REFERENCES files (id)
);
INSERT INTO "file_uses" VALUES('file-1','job-2');
INSERT INTO "file_uses" VALUES('file-1','job-3');
INSERT INTO "file_uses" VALUES('file-2','batch-1');
CREATE TABLE files (
	seq INTEGER NOT NULL, 
	id TEXT NOT NULL, 
	name TEXT NOT NULL, 
	folded_name TEXT NOT NULL, 
	purpose TEXT NOT NULL, 
	source TEXT NOT NULL, 
	sample_type TEXT NOT NULL, 
	bytes BIGINT NOT NULL, 
	sha256 TEXT NOT NULL, 
	num_lines BIGINT, 
	mimetype TEXT, 
	visibility TEXT NOT NULL, 
	"key" TEXT NOT NULL, 
	created_at BIGINT NOT NULL, 
	expires_at BIGINT, 
	created_by TEXT, layout JSON, 
	CONSTRAINT pk_files PRIMARY KEY (seq), 
	CONSTRAINT uq_files_id UNIQUE (id), 
	CONSTRAINT uq_files_key UNIQUE ("key")
);
INSERT INTO "files" VALUES(1,'file-1','Ünïcode.jsonl','ünïcode.jsonl','fine-tune','upload','instruct',12,'0000000000000000000000000000000000000000000000000000000000000000',3,NULL,'workspace','files/file-1',1800000000,1800000009,NULL,NULL);
INSERT INTO "files" VALUES(2,'file-2','train.jsonl','train.jsonl','fine-tune','upload','instruct',12,'1111111111111111111111111111111111111111111111111111111111111111',NULL,NULL,'workspace','files/file-2',1800000000,NULL,NULL,'{"text": "Message"}');
CREATE TABLE job_events (
	seq INTEGER NOT NULL, 
	job_id TEXT NOT NULL, 
	name TEXT NOT NULL, 
	created_at BIGINT NOT NULL, 
	data JSON NOT NULL, 
	CONSTRAINT pk_job_events PRIMARY KEY (seq), 
	CONSTRAINT fk_job_events_job_id FOREIGN KEY(job_id) REFERENCES jobs (id) ON DELETE CASCADE
);
INSERT INTO "job_events" VALUES(1,'job-1','status-updated',1800000000,'{"status": "QUEUED"}');
INSERT INTO "job_events" VALUES(2,'job-2','status-updated',1800000000,'{"status": "QUEUED"}');
INSERT INTO "job_events" VALUES(3,'job-3','status-updated',1800000000,'{"status": "VALIDATED"}');
INSERT INTO "job_events" VALUES(4,'job-1','status-updated',1800000000,'{"status": "RUNNING"}');
INSERT INTO "job_events" VALUES(5,'job-2','status-updated',1800000000,'{"status": "RUNNING"}');
INSERT INTO "job_events" VALUES(6,'job-1','status-updated',1800000000,'{"status": "SUCCESS"}');
CREATE TABLE jobs (
	seq INTEGER NOT NULL, 
	id TEXT NOT NULL, 
	status TEXT NOT NULL, 
	phase TEXT NOT NULL, 
	model TEXT NOT NULL, 
	base TEXT NOT NULL, 
	name TEXT NOT NULL, 
	suffix TEXT, 
	auto_start BOOLEAN NOT NULL, 
	hyperparameters JSON NOT NULL, 
	training_files JSON NOT NULL, 
	validation_files JSON NOT NULL, 
	integrations JSON NOT NULL, 
	wandb_project TEXT, 
	wandb_name TEXT, 
	asked_targets JSON, 
	targets JSON NOT NULL, 
	max_bad_share DOUBLE NOT NULL, 
	metadata JSON NOT NULL, 
	fingerprint TEXT NOT NULL, 
	attempt BIGINT NOT NULL, 
	deaths BIGINT NOT NULL, 
	owner TEXT, 
	lease_until DOUBLE, 
	cancel_requested BOOLEAN NOT NULL, 
	error_code TEXT, 
	error TEXT, 
	peak_mb DOUBLE, 
	model_id TEXT, 
	fine_tuned_model TEXT, 
	trained_tokens BIGINT, 
	created_at BIGINT NOT NULL, 
	modified_at BIGINT NOT NULL, 
	created_by TEXT, 
	finished_at BIGINT, title TEXT, dataset_id TEXT, 
	CONSTRAINT pk_jobs PRIMARY KEY (seq), 
	CONSTRAINT uq_jobs_id UNIQUE (id)
);
INSERT INTO "jobs" VALUES(1,'job-1','SUCCESS','train','ministral-3b-latest','static-en','mine',NULL,0,'{"learning_rate": 0.0001}','[["file-1", 1.5]]','[]','[{"type": "wandb", "project": "p"}]','p',NULL,NULL,'[{"name": "intent", "labels": ["b", "a"]}]',0.0,'{}','print-1',1,0,NULL,NULL,0,NULL,NULL,NULL,'model-1',NULL,NULL,1800000000,1800000000,NULL,1800000000,NULL,NULL);
INSERT INTO "jobs" VALUES(2,'job-2','RUNNING','train','ministral-3b-latest','static-en','mine',NULL,0,'{"learning_rate": 0.0001}','[["file-1", 1.5]]','[]','[{"type": "wandb", "project": "p"}]','p',NULL,NULL,'[{"name": "intent", "labels": ["b", "a"]}]',0.0,'{}','print-2',1,0,'worker',1800000060.0,0,NULL,NULL,NULL,NULL,NULL,NULL,1800000000,1800000000,NULL,NULL,NULL,NULL);
INSERT INTO "jobs" VALUES(3,'job-3','VALIDATED','train','ministral-3b-latest','static-en','mine',NULL,0,'{"learning_rate": 0.0001}','[["file-1", 1.5]]','[]','[{"type": "wandb", "project": "p"}]','p',NULL,NULL,'[{"name": "intent", "labels": ["b", "a"]}]',0.0,'{}','print-3',0,0,NULL,NULL,0,NULL,NULL,NULL,NULL,NULL,NULL,1800000000,1800000000,NULL,NULL,NULL,NULL);
CREATE TABLE keys (
	seq INTEGER NOT NULL, 
	id TEXT NOT NULL, 
	hash TEXT NOT NULL, 
	name TEXT NOT NULL, 
	scopes JSON NOT NULL, 
	prefix TEXT NOT NULL, 
	created_at BIGINT NOT NULL, 
	last_used_at BIGINT, 
	revoked_at BIGINT, 
	expires_at BIGINT, 
	CONSTRAINT pk_keys PRIMARY KEY (seq), 
	CONSTRAINT uq_keys_hash UNIQUE (hash), 
	CONSTRAINT uq_keys_id UNIQUE (id)
);
INSERT INTO "keys" VALUES(1,'key-1','hash-1','laptop','["infer", "train"]','tamis-ab',1800000000,NULL,NULL,NULL);
CREATE TABLE looks (
	seq INTEGER NOT NULL, 
	id TEXT NOT NULL, 
	name TEXT NOT NULL, 
	input_hash TEXT NOT NULL, 
	input JSON NOT NULL, 
	reason TEXT NOT NULL, 
	priority DOUBLE NOT NULL, 
	proposed JSON NOT NULL, 
	given JSON NOT NULL, 
	answer JSON, 
	status TEXT NOT NULL, 
	source JSON NOT NULL, 
	model_id TEXT, 
	created_at BIGINT NOT NULL, 
	answered_at BIGINT, 
	answered_by TEXT, 
	CONSTRAINT pk_looks PRIMARY KEY (seq), 
	CONSTRAINT uq_looks_id UNIQUE (id), 
	CONSTRAINT uq_looks_name_input_hash UNIQUE (name, input_hash)
);
INSERT INTO "looks" VALUES(1,'look-1','shop','02d79ebe-a29b-4970-a20b-9879413b7a32','"where is it"','uncertain',0.0,'{}','{}','{"intent": ["a"]}','answered','{}',NULL,1800000000,NULL,NULL);
CREATE TABLE model_names (
	name TEXT NOT NULL, 
	last_version BIGINT NOT NULL, 
	CONSTRAINT pk_model_names PRIMARY KEY (name)
);
INSERT INTO "model_names" VALUES('intent',2);
CREATE TABLE models (
	seq INTEGER NOT NULL, 
	id TEXT NOT NULL, 
	name TEXT NOT NULL, 
	version BIGINT NOT NULL, 
	ft TEXT, 
	job_id TEXT, 
	root TEXT NOT NULL, 
	base TEXT NOT NULL, 
	title TEXT, 
	description TEXT, 
	archived BOOLEAN NOT NULL, 
	place TEXT NOT NULL, 
	bytes BIGINT NOT NULL, 
	targets JSON NOT NULL, 
	metrics JSON NOT NULL, 
	created_at BIGINT NOT NULL, 
	created_by TEXT, last_used_at BIGINT, context BIGINT, 
	CONSTRAINT pk_models PRIMARY KEY (seq), 
	CONSTRAINT fk_models_job_id FOREIGN KEY(job_id) REFERENCES jobs (id) ON DELETE SET NULL, 
	CONSTRAINT uq_models_ft UNIQUE (ft), 
	CONSTRAINT uq_models_id UNIQUE (id), 
	CONSTRAINT uq_models_job_id UNIQUE (job_id), 
	CONSTRAINT uq_models_name_version UNIQUE (name, version)
);
INSERT INTO "models" VALUES(1,'model-1','intent',1,'ft:1','job-1','ministral-3b-latest','static-en',NULL,NULL,0,'objects:models/model-1',0,'[]','{}',1800000000,NULL,NULL,NULL);
INSERT INTO "models" VALUES(2,'model-2','intent',2,NULL,NULL,'ministral-3b-latest','static-en',NULL,NULL,0,'objects:models/model-2',0,'[]','{}',1800000000,NULL,NULL,512);
CREATE TABLE operations (
	seq INTEGER NOT NULL, 
	id TEXT NOT NULL, 
	kind TEXT NOT NULL, 
	status TEXT NOT NULL, 
	title TEXT NOT NULL, 
	model_id TEXT, 
	told JSON NOT NULL, 
	progress DOUBLE NOT NULL, 
	stage TEXT NOT NULL, 
	summary JSON NOT NULL, 
	result_key TEXT, 
	result_name TEXT, 
	media_type TEXT, 
	bytes BIGINT NOT NULL, 
	owner TEXT, 
	error_code TEXT, 
	error TEXT, 
	created_at BIGINT NOT NULL, 
	modified_at BIGINT NOT NULL, 
	finished_at BIGINT, 
	created_by TEXT, 
	CONSTRAINT pk_operations PRIMARY KEY (seq), 
	CONSTRAINT uq_operations_id UNIQUE (id)
);
INSERT INTO "operations" VALUES(1,'operation-1','evaluate','SUCCESS','shop on test.jsonl','model-1','{}',0.0,'','{"rows": 3}',NULL,NULL,NULL,0,NULL,NULL,NULL,1800000000,1800000000,NULL,NULL);
CREATE TABLE reviews (
	seq INTEGER NOT NULL, 
	id TEXT NOT NULL, 
	status TEXT NOT NULL, 
	training_file TEXT NOT NULL, 
	validation_files JSON NOT NULL, 
	test_files JSON NOT NULL, 
	options JSON NOT NULL, 
	progress DOUBLE NOT NULL, 
	summary JSON NOT NULL, 
	result_key TEXT, 
	decisions JSON NOT NULL, 
	owner TEXT, 
	error_code TEXT, 
	error TEXT, 
	output_file TEXT, 
	log_file TEXT, 
	version JSON, 
	created_at BIGINT NOT NULL, 
	modified_at BIGINT NOT NULL, 
	finished_at BIGINT, 
	created_by TEXT, bytes BIGINT DEFAULT '0' NOT NULL, 
	CONSTRAINT pk_reviews PRIMARY KEY (seq), 
	CONSTRAINT uq_reviews_id UNIQUE (id)
);
INSERT INTO "reviews" VALUES(1,'review-1','SUCCESS','file-1','[]','[]','{}',0.0,'[]',NULL,'{"duplicates": {"": "accepted"}}',NULL,NULL,NULL,NULL,NULL,'null',1800000000,1800000000,NULL,NULL,0);
CREATE TABLE secrets (
	owner_id TEXT NOT NULL, 
	name TEXT NOT NULL, 
	sealed BLOB NOT NULL, 
	CONSTRAINT pk_secrets PRIMARY KEY (owner_id, name)
);
INSERT INTO "secrets" VALUES('job-2','wandb',X'67414141414142724138714437664A4E4D795355696648457066796353547832683352327A653977736245594D7851617532794750486875666B674958777047544F35544C4C6768416C4C7446733834747A6C31667A4E485331637467464C3134413D3D');
CREATE TABLE shares (
	seq INTEGER NOT NULL, 
	id TEXT NOT NULL, 
	model_id TEXT NOT NULL, 
	token_hash TEXT NOT NULL, 
	title TEXT NOT NULL, 
	per_minute BIGINT NOT NULL, 
	uses BIGINT NOT NULL, 
	created_at BIGINT NOT NULL, 
	expires_at BIGINT, 
	revoked_at BIGINT, 
	last_used_at BIGINT, 
	created_by TEXT, minute BIGINT DEFAULT '0' NOT NULL, minute_uses BIGINT DEFAULT '0' NOT NULL, 
	CONSTRAINT pk_shares PRIMARY KEY (seq), 
	CONSTRAINT uq_shares_id UNIQUE (id), 
	CONSTRAINT uq_shares_token_hash UNIQUE (token_hash)
);
INSERT INTO "shares" VALUES(1,'share-1','model-1','c9dc55b7-c37e-47f6-98bb-53911244b4b2','for the team',60,0,1800000000,NULL,NULL,NULL,NULL,0,0);
CREATE INDEX ix_files_expires_at ON files (expires_at);
CREATE INDEX ix_files_newest ON files (created_at, seq);
CREATE INDEX ix_files_sha256 ON files (sha256);
CREATE INDEX ix_file_uses_user_id ON file_uses (user_id);
CREATE INDEX ix_jobs_newest ON jobs (created_at, seq);
CREATE INDEX ix_jobs_status ON jobs (status);
CREATE UNIQUE INDEX uq_jobs_live_fingerprint ON jobs (fingerprint) WHERE finished_at IS NULL;
CREATE INDEX ix_job_events_job_id ON job_events (job_id);
CREATE INDEX ix_models_newest ON models (created_at, seq);
CREATE INDEX ix_aliases_model_id ON aliases (model_id);
CREATE INDEX ix_batches_newest ON batches (created_at, seq);
CREATE INDEX ix_batches_status ON batches (status);
CREATE INDEX ix_batch_events_job_id ON batch_events (job_id);
CREATE INDEX ix_batch_metadata_pair ON batch_metadata (name, value);
CREATE INDEX ix_datasets_newest ON datasets (created_at, seq);
CREATE INDEX ix_jobs_dataset_id ON jobs (dataset_id);
CREATE INDEX ix_reviews_training_file ON reviews (training_file);
CREATE INDEX ix_reviews_output_file ON reviews (output_file);
CREATE INDEX ix_reviews_newest ON reviews (created_at, seq);
CREATE INDEX ix_operations_model_id ON operations (model_id);
CREATE INDEX ix_operations_newest ON operations (created_at, seq);
CREATE INDEX ix_shares_model_id ON shares (model_id);
CREATE INDEX ix_looks_queue ON looks (name, status, priority);
COMMIT;
