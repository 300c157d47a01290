//! From what is found to findings.
//!
//! Invariant: texts are put together from names, of the object and of the
//! catalogue, and never from values.

use portcullis_sdk::pod::{ContainerRef, WorkloadKind};
use portcullis_sdk::{FieldPath, Level, Metadata, Review};
use portcullis_workloads::{EnvVar, SwitchedOff, opens_a_data_store};

use crate::CredentialsInPlainText;
use crate::command::{Given, of_words};
use crate::config::{Told, What, of_annotation, of_setting};
use crate::content::Sort;
use crate::custom::{Custom, held};
use crate::names::Noun;
use crate::rules::Rule;
use crate::settings::Settings;
use crate::stores::{Store, is_client, of_container, open_line};
use crate::text::{Found, is_file, of_file};
use crate::values::{Place, Plain};
use crate::views::{AnyWorkload, ConfigMap, Container};

/// How the name of a configuration file ends that a data store may be started with.
const CONFIGURATIONS: [&str; 5] = [".acl", ".cnf", ".conf", ".yaml", ".yml"];

/// What says it, and under which settings.
pub(crate) struct Reporter<'a> {
    pub(crate) settings: &'a Settings,
    pub(crate) review: &'a mut Review<CredentialsInPlainText>,
}

/// Something that is given away, ready to be told.
struct Leaked<'a> {
    rule: Rule,
    plain: Plain,
    /// What the finding is about: `container=mysql`.
    subject: String,
    /// The name at which it stands.
    name: &'a str,
    /// What stands where: ``variable `X` of container `mysql` holds a password``.
    what: String,
    path: FieldPath,
    fix: String,
}

impl Reporter<'_> {
    /// Judges a workload.
    pub(crate) fn workload(&mut self, workload: &AnyWorkload) {
        let object = workload.metadata.display_name();
        self.annotations(&workload.metadata, &FieldPath::root().field("metadata"), "annotation");
        if workload.kind != WorkloadKind::Pod {
            let pods = Metadata { annotations: workload.pod_metadata.annotations.clone(), ..Metadata::default() };
            self.annotations(&pods, &workload.pod_metadata_path(), "pod-annotation");
        }
        let containers: Vec<ContainerRef<'_, Container>> = workload.containers().collect();
        let stores: Vec<Option<Store>> = containers.iter().map(of_container).collect();
        for (container, store) in containers.iter().zip(&stores) {
            self.container(object, container, store.as_ref().map_or(&[], |store| store.flags));
            if let Some(store) = store.as_ref().filter(|store| !is_client(store, &stores)) {
                self.store(container, store);
            }
        }
    }

    /// Judges a ConfigMap.
    pub(crate) fn config_map(&mut self, config_map: &ConfigMap) {
        self.annotations(&config_map.metadata, &FieldPath::root().field("metadata"), "annotation");
        if !self.settings.places.config_maps {
            return;
        }
        for (key, value) in &config_map.data {
            let path = FieldPath::root().field("data").key(key);
            if !is_file(key, value) {
                if let Some(told) = of_setting(self.settings, key, value, Place::File) {
                    self.config_value(key, key, &told_text(&told), told.plain, &path);
                }
                self.config_variable(key, value, &path);
                continue;
            }
            for found in of_file(key, value) {
                let name = found.name.as_deref().unwrap_or(key);
                if !self.settings.is_ignored(name) && !self.settings.is_ignored(key) {
                    let what = if found.name.is_some() && name != key {
                        format!("{} at `{name}`", found_text(&found))
                    } else {
                        found_text(&found).to_owned()
                    };
                    self.config_value(key, name, &what, found.plain, &path);
                }
            }
            self.config_switch(key, value, &path);
        }
    }

    /// Judges an operator's resource.
    pub(crate) fn custom(&mut self, custom: &Custom) {
        let (metadata, spec) = (&custom.resource.metadata, &custom.resource.spec);
        self.annotations(metadata, &FieldPath::root().field("metadata"), "annotation");
        for held in held(self.settings, spec) {
            self.leaked(Leaked {
                rule: Rule::CustomResource,
                plain: held.plain,
                subject: format!("field={}", held.field),
                name: &held.name,
                what: format!(
                    "{} `{}` holds a password or token at `{}`",
                    custom.kind,
                    metadata.display_name(),
                    held.name
                ),
                path: held.path,
                fix: "name a Secret in the field that the operator has for it".to_owned(),
            });
        }
        let is_without =
            custom.kind == "Tenant" && spec["requestAutoCert"] == false && spec["externalCertSecret"].is_null();
        if let (Some(level), true) = (self.settings.transport.level(), is_without) {
            self.review
                .find(Rule::TransportOff, level, "the tenant does without TLS: `requestAutoCert` is false and no certificate is named, so keys and data cross the network in plain text".to_owned())
                .at(&FieldPath::fields(["spec", "requestAutoCert"]))
                .subject("tenant")
                .value("requestAutoCert")
                .fix("leave `requestAutoCert` true, or name certificates in `externalCertSecret`");
        }
    }

    fn container(&mut self, object: &str, container: &ContainerRef<'_, Container>, flags: &[&str]) {
        let (view, path) = (container.view, &container.path);
        self.variables(object, container.name, &view.env, &path.field("env"));
        if !self.settings.places.command_lines {
            return;
        }
        let words: Vec<String> = view.command.iter().chain(&view.args).cloned().collect();
        let of_word = |word: usize| match word.checked_sub(view.command.len()) {
            Some(index) => path.field("args").index(index),
            None => path.field("command").index(word),
        };
        for given in of_words(&words, flags) {
            self.argument(object, container.name, "the command line", &given, of_word(given.word));
        }
        let hooks = [
            (["livenessProbe", ""], &view.liveness_probe),
            (["readinessProbe", ""], &view.readiness_probe),
            (["startupProbe", ""], &view.startup_probe),
            (["lifecycle", "postStart"], &view.lifecycle.post_start),
            (["lifecycle", "preStop"], &view.lifecycle.pre_stop),
        ];
        for (fields, hook) in hooks {
            let place =
                fields.iter().filter(|field| !field.is_empty()).fold(path.clone(), |path, field| path.field(field));
            let label = format!("`{}`", fields.join(".").trim_end_matches('.'));
            let command = place.field("exec").field("command");
            for given in of_words(&hook.exec.command, flags) {
                self.argument(object, container.name, &label, &given, command.index(given.word));
            }
            let headers = place.field("httpGet").field("httpHeaders");
            for (index, header) in hook.http_get.http_headers.iter().enumerate() {
                self.header(container.name, &label, header, headers.index(index).field("value"));
            }
        }
    }

    fn variables(&mut self, object: &str, container: &str, variables: &[EnvVar], path: &FieldPath) {
        if !self.settings.places.environment {
            return;
        }
        for (index, variable) in variables.iter().enumerate() {
            let Some(value) = variable.value.as_deref() else { continue };
            let name = &variable.name;
            let Some(told) = of_setting(self.settings, name, value, Place::Field) else { continue };
            let rule =
                if told.what == What::Shown(Sort::Url) { Rule::UrlCredentials } else { Rule::EnvironmentVariable };
            let fix = if rule == Rule::UrlCredentials {
                format!(
                    "take the password from a Secret into a variable of its own, before this one, and put it into `{name}` as `$(PASSWORD)`; or take all of `{name}` by `valueFrom.secretKeyRef`"
                )
            } else {
                format!(
                    "replace `value` by `valueFrom: {{secretKeyRef: {{name: {object}, key: {name}}}}}`, put the value into that Secret, and change it: it has been seen"
                )
            };
            self.leaked(Leaked {
                rule,
                plain: told.plain,
                subject: format!("container={container}"),
                name,
                what: format!("variable `{name}` of container `{container}` holds {}", told_text(&told)),
                path: path.index(index).field("value"),
                fix,
            });
        }
    }

    fn argument(&mut self, object: &str, container: &str, place: &str, given: &Given, path: FieldPath) {
        let name = &given.name;
        if self.settings.is_ignored(name) || self.settings.is_ignored(name.trim_start_matches('-')) {
            return;
        }
        let rule = if given.sort == Some(Sort::Url) { Rule::UrlCredentials } else { Rule::CommandLine };
        let what = given.sort.map_or("a password or token", sort_text);
        self.leaked(Leaked {
            rule,
            plain: given.plain,
            subject: format!("container={container}"),
            name,
            what: format!("{place} of container `{container}` holds {what} (`{name}`)"),
            path,
            fix: format!("take it into a variable by `valueFrom: {{secretKeyRef: {{name: {object}, key: password}}}}` and write `$(VARIABLE)` here (`\"$VARIABLE\"` in a shell script), or have the program read a mounted file"),
        });
    }

    fn header(&mut self, container: &str, place: &str, header: &EnvVar, path: FieldPath) {
        let is_authorization = header.name.eq_ignore_ascii_case("authorization");
        let value = header.value.as_deref().unwrap_or_default();
        let plain = if is_authorization {
            crate::values::judge(Noun::Password, value.split_once(' ').map_or(value, |(_, value)| value), Place::Field)
        } else {
            of_setting(self.settings, &header.name, value, Place::Field).map(|told| told.plain)
        };
        let Some(plain) = plain else { return };
        self.leaked(Leaked {
            rule: Rule::CommandLine,
            plain,
            subject: format!("container={container}"),
            name: &header.name,
            what: format!("{place} of container `{container}` sends credentials in the header `{}`", header.name),
            path,
            fix: "let the path that is probed need no credentials, or probe with `exec` and a variable from a Secret"
                .to_owned(),
        });
    }

    fn annotations(&mut self, metadata: &Metadata, path: &FieldPath, subject: &str) {
        if !self.settings.places.annotations {
            return;
        }
        for (key, value) in &metadata.annotations {
            let Some(told) = of_annotation(self.settings, key, value) else { continue };
            self.leaked(Leaked {
                rule: Rule::Annotation,
                plain: told.plain,
                subject: format!("{subject}={key}"),
                name: key,
                what: format!("annotation `{key}` holds {}", told_text(&told)),
                path: path.field("annotations").key(key),
                fix: "put the value into a Secret, and have the annotation name the Secret".to_owned(),
            });
        }
    }

    fn config_value(&mut self, key: &str, name: &str, what: &str, plain: Plain, path: &FieldPath) {
        self.leaked(Leaked {
            rule: Rule::ConfigMap,
            plain,
            subject: format!("key={key}"),
            name,
            what: format!("key `{key}` holds {what}"),
            path: path.clone(),
            fix: format!("move `{key}` into a Secret and refer to it by `secretKeyRef`, or mount it from there; what isn't secret may stay"),
        });
    }

    /// A variable that opens a data store, waiting for `envFrom`: whether anything takes it isn't known here.
    fn config_variable(&mut self, key: &str, value: &str, path: &FieldPath) {
        if self.settings.switches.level().is_none() || self.settings.is_ignored(key) || !opens_a_data_store(key, value)
        {
            return;
        }
        self.review
            .warn(
                Rule::AuthenticationOff,
                format!("key `{key}` tells the data store that takes it as a variable to let everybody in"),
            )
            .at(path)
            .subject(format!("key={key}"))
            .value(key)
            .fix(format!("take `{key}` away, and give the data store a password from a Secret"));
    }

    fn config_switch(&mut self, key: &str, text: &str, path: &FieldPath) {
        let (Some(line), Some(level)) = (open_line(key, text), self.settings.switches.level()) else { return };
        let level = if line.is_certain { level } else { Level::Warn };
        self.review
            .find(
                Rule::AuthenticationOff,
                level,
                format!("key `{key}` configures a data store to let everybody in, by `{}`", line.name),
            )
            .at(path)
            .subject(format!("key={key}"))
            .value(line.name)
            .fix(format!(
                "take `{}` away and configure a password or certificates; passwords belong in a Secret",
                line.name
            ));
    }

    fn store(&mut self, container: &ContainerRef<'_, Container>, store: &Store) {
        if let (Some(switch), Some(level)) = (store.switch, self.settings.switches.level()) {
            self.switch(container, &store.system, switch, level);
        }
        if let (true, Some(level)) = (store.lacks_credentials, self.settings.without_credentials.level()) {
            let message = format!(
                "{} (container `{}`) is given no credentials: it runs open, or with those that everybody knows, unless its image says otherwise",
                store.system, container.name
            );
            self.review
                .find(Rule::WithoutCredentials, level, message)
                .at(&container.path)
                .subject(format!("container={}", container.name))
                .value(&store.system)
                .fix("give it a user and a password by the variables that its image documents, with `valueFrom.secretKeyRef`");
        }
    }

    fn switch(&mut self, container: &ContainerRef<'_, Container>, system: &str, switch: SwitchedOff, level: Level) {
        if self.settings.is_ignored(switch.name) {
            return;
        }
        // A Secret taken as a whole may hold the password that makes the switch harmless.
        // …and so may a configuration file.
        let reads_file = container
            .view
            .command
            .iter()
            .chain(&container.view.args)
            .any(|word| CONFIGURATIONS.iter().any(|end| word.trim_end_matches(['"', '\'']).ends_with(end)));
        let may_be_harmless = switch.unless_password && (container.view.env_from.0 || reads_file);
        let level = if may_be_harmless { level.min(Level::Warn) } else { level };
        let told = match (switch.value, switch.is_variable) {
            (Some(value), true) => format!("`{}={value}`", switch.name),
            (Some(value), false) => format!("`{} {value}`", switch.name),
            (None, _) => format!("`{}`", switch.name),
        };
        let unless =
            if may_be_harmless { ", unless `envFrom` or a configuration file gives it a password" } else { "" };
        let index = container.view.env.iter().position(|variable| switch.is_variable && variable.name == switch.name);
        let path = match index {
            Some(index) => container.path.field("env").index(index),
            None => container.path.clone(),
        };
        self.review
            .find(
                Rule::AuthenticationOff,
                level,
                format!("{system} (container `{}`) is told to let everybody in, by {told}{unless}", container.name),
            )
            .at(&path)
            .subject(format!("container={}", container.name))
            .value(switch.name)
            .fix(format!(
                "take {told} away, and give {system} a password by `valueFrom.secretKeyRef`, or certificates"
            ));
    }

    fn leaked(&mut self, leaked: Leaked<'_>) {
        let Leaked { rule, plain, subject, name, what, path, fix } = leaked;
        let (rule, level, message) = match plain {
            Plain::Secret => (rule, Some(Level::Deny), format!("{what} in plain text")),
            Plain::Placeholder => {
                (Rule::Placeholder, self.settings.placeholders.level(), format!("{what}, or a placeholder for it"))
            }
        };
        if let Some(level) = level {
            self.review.find(rule, level, message).at(&path).subject(subject).value(name).fix(fix);
        }
    }
}

fn told_text(told: &Told) -> String {
    match &told.what {
        What::Named(noun) => noun_text(*noun).to_owned(),
        What::Shown(sort) => sort_text(*sort).to_owned(),
        What::Flag(flag) => format!("a password or token (`{flag}`)"),
    }
}

fn found_text(found: &Found) -> &'static str {
    found.sort.map_or("a password or token", sort_text)
}

fn noun_text(noun: Noun) -> &'static str {
    match noun {
        Noun::Password => "a password",
        Noun::Secret => "a secret",
        Noun::Token => "a token",
        Noun::Key => "a key",
        Noun::Credentials => "credentials",
    }
}

fn sort_text(sort: Sort) -> &'static str {
    match sort {
        Sort::Url => "a connection string with a password",
        Sort::PrivateKey => "a private key",
        Sort::Token(whose) => whose,
    }
}
