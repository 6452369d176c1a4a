//! GitLab's own definitions.

use headcount::{DataCategory, DataSource, Definitions, Rule, ValueType};

use crate::{gitlab, yaml_files};

#[test]
fn gitlabs_own_definitions_load() {
    let Some(folder) = gitlab() else { return };
    let config = Definitions::load(folder.join("config")).unwrap();
    let mut files = Vec::new();
    yaml_files(&folder.join("config"), &mut files);
    assert_eq!(
        config.events().len() + config.metrics().len(),
        files.len(),
        "no list of time frames among them"
    );

    let guest = config.find_metric("counts.package_events_i_package_pull_package_by_guest").unwrap();
    assert_eq!(guest.rules(), [Rule::count("pull_package_from_registry").filter("property", "guest")]);
    let merge_requests =
        config.find_metric("redis_hll_counters.code_review.i_code_review_user_close_mr_monthly").unwrap();
    assert_eq!(merge_requests.rules(), [Rule::unique("i_code_review_user_close_mr", "user")]);
    let setting = config.find_metric("instance_auto_devops_enabled").unwrap();
    assert_eq!((setting.data_source(), setting.value_type()), (DataSource::System, ValueType::Boolean));
    assert_eq!(config.find_metric("topology").unwrap().data_category(), DataCategory::Optional);
    assert!(config.find_event("i_quickactions_ship").unwrap().is_removed());

    let mut fixtures = Vec::new();
    yaml_files(&folder.join("spec"), &mut fixtures);
    assert_eq!(files.len() + fixtures.len(), 117);
    for file in &fixtures {
        Definitions::load(file).unwrap_or_else(|error| panic!("{}: {error}", file.display()));
    }
    let custom =
        fixtures.iter().find(|file| file.ends_with("user_id_single_event_custom_key_filter.yml")).unwrap();
    let custom = Definitions::load(custom).unwrap();
    let keys: Vec<String> = custom.metrics().flat_map(|metric| metric.rules()).map(Rule::key).collect();
    assert_eq!(
        keys[0],
        "internal_events_cli_used-filter:[custom_key1:metrics,custom_key3:30,custom_key4:12.4,label:failure]-user"
    );
}
