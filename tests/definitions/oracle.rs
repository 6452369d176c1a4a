//! GitLab's own JSON schemas, run by a validator that knows nothing of this crate.

use std::collections::BTreeSet;
use std::error::Error;
use std::path::{Path, PathBuf};

use boon::{Compiler, Draft, ErrorKind, InstanceToken, SchemaIndex, Schemas, UrlLoader, ValidationError};
use serde_json::Value;

const BASE: &str = "https://gitlab.invalid/";

/// The schemas of events and metrics.
pub(crate) struct Oracle {
    schemas: Schemas,
    event: SchemaIndex,
    metric: SchemaIndex,
}

/// Something that a schema refuses.
#[derive(Debug)]
pub(crate) struct Fault {
    /// The keys of the definition of which one is wrong; empty where the definition is no mapping.
    pub(crate) keys: BTreeSet<String>,
    pub(crate) schema: String,
    pub(crate) text: String,
}

/// The schemas stand in files; nothing is fetched.
struct NoLoader;

impl UrlLoader for NoLoader {
    fn load(&self, url: &str) -> Result<Value, Box<dyn Error>> {
        Err(format!("{url} is not among the schemas").into())
    }
}

impl Oracle {
    pub(crate) fn new(folder: &Path) -> Self {
        let mut compiler = Compiler::new();
        compiler.set_default_draft(Draft::V2020_12);
        compiler.enable_format_assertions();
        compiler.use_loader(Box::new(NoLoader));
        let mut files = Vec::new();
        json_files(&folder.join("config"), &mut files);
        for file in files {
            let name = file.strip_prefix(folder).unwrap().to_str().unwrap().to_owned();
            let mut schema: Value = serde_json::from_str(&std::fs::read_to_string(&file).unwrap()).unwrap();
            open_lists(&name, &mut schema);
            compiler.add_resource(&format!("{BASE}{name}"), schema).unwrap();
        }
        let mut schemas = Schemas::new();
        let mut compile =
            |name: &str| compiler.compile(&format!("{BASE}config/{name}"), &mut schemas).unwrap();
        let (event, metric) = (compile("events/schema.json"), compile("metrics/schema/base.json"));
        Self { schemas, event, metric }
    }

    pub(crate) fn faults(&self, is_event: bool, definition: &Value) -> Vec<Fault> {
        let schema = if is_event { self.event } else { self.metric };
        let mut faults = Vec::new();
        if let Err(error) = self.schemas.validate(definition, schema) {
            collect(&error, &mut faults);
            assert!(!faults.is_empty(), "{error}");
        }
        faults
    }
}

/// Takes out what the strict check deliberately does not hold: the names of GitLab's groups, which change with its organisation, and
/// the key paths of its own metrics that are exempt from a rule. Without the exemptions the schemas refuse more.
fn open_lists(name: &str, schema: &mut Value) {
    match name {
        "config/metrics/schema/product_groups.json" => {
            assert!(schema.as_object_mut().unwrap().remove("enum").is_some());
        }
        "config/metrics/schema/product_categories.json" => {
            let condition = schema.pointer_mut("/if/properties").unwrap().as_object_mut().unwrap();
            assert!(condition.remove("key_path").is_some());
        }
        "config/metrics/schema/redis_hll.json" => {
            let forms = schema.pointer_mut("/then/oneOf").unwrap().as_array_mut().unwrap();
            assert!(forms.pop().unwrap().pointer("/properties/key_path/enum").is_some());
        }
        _ => {}
    }
}

fn json_files(folder: &Path, found: &mut Vec<PathBuf>) {
    for entry in std::fs::read_dir(folder).unwrap() {
        let path = entry.unwrap().path();
        if path.is_dir() {
            json_files(&path, found);
        } else if path.extension().is_some_and(|extension| extension == "json") {
            found.push(path);
        }
    }
}

fn collect(error: &ValidationError<'_, '_>, faults: &mut Vec<Fault>) {
    match &error.kind {
        ErrorKind::AnyOf | ErrorKind::OneOf(_) => {
            let mut branches = Vec::new();
            error.causes.iter().for_each(|cause| collect(cause, &mut branches));
            let mut keys: BTreeSet<String> = branches.into_iter().flat_map(|branch| branch.keys).collect();
            keys.extend(first_key(error));
            faults.push(fault(error, keys));
        }
        _ if !error.causes.is_empty() => error.causes.iter().for_each(|cause| collect(cause, faults)),
        kind => {
            let named: Vec<String> = match (first_key(error), kind) {
                (Some(key), _) => vec![key],
                (None, ErrorKind::Required { want }) => want.iter().map(ToString::to_string).collect(),
                (None, ErrorKind::AdditionalProperties { got }) => {
                    got.iter().map(ToString::to_string).collect()
                }
                (None, _) => Vec::new(),
            };
            if named.is_empty() {
                faults.push(fault(error, BTreeSet::new()));
            }
            faults.extend(named.into_iter().map(|key| fault(error, BTreeSet::from([key]))));
        }
    }
}

fn fault(error: &ValidationError<'_, '_>, keys: BTreeSet<String>) -> Fault {
    Fault { keys, schema: error.schema_url.to_owned(), text: error.to_string() }
}

/// The key of the definition in which an error lies.
fn first_key(error: &ValidationError<'_, '_>) -> Option<String> {
    match error.instance_location.tokens.first()? {
        InstanceToken::Prop(key) => Some(key.to_string()),
        InstanceToken::Item(_) => None,
    }
}
