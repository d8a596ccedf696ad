//! The common parts of what is in `tests/`: the conformance servers, and the programs that race
//! refreshes, break stores, tear clusters apart, rotate keys under load and soak the example apps.

pub mod cluster;
pub mod fault;
mod node;
#[cfg(test)]
mod release;
pub mod rotation;
pub mod servers;
pub mod shim;
pub mod soak;

/// The code in README and the guides compiles. `every_guide_is_compiled` sees to it that none is
/// forgotten here.
#[cfg(doctest)]
mod guides {
    macro_rules! compiled {
        ($($name:ident: $path:literal),* $(,)?) => {
            $(#[doc = include_str!($path)] struct $name;)*
        };
    }

    compiled! {
        Readme: "../../README.md",
        Adapter: "../../docs/writing-an-adapter.md",
        FromActixJwt: "../../docs/migrate/actix-jwt-auth-middleware.md",
        FromActixSession: "../../docs/migrate/actix-session.md",
        FromAxumJwtAuth: "../../docs/migrate/axum-jwt-auth.md",
        FromAxumLogin: "../../docs/migrate/axum-login.md",
        FromJsonwebtoken: "../../docs/migrate/jsonwebtoken.md",
        FromJwtAuthorizer: "../../docs/migrate/jwt-authorizer.md",
        FromOthers: "../../docs/migrate/README.md",
        FromSpring: "../../docs/migrate/spring-security.md",
        Identity: "../../docs/identity-providers.md",
        Incidents: "../../docs/incidents.md",
        Layers: "../../docs/layers.md",
        Lifetimes: "../../docs/lifetimes.md",
        Microservices: "../../docs/microservices.md",
        Mobile: "../../docs/mobile.md",
        Observability: "../../docs/observability.md",
        OpenApi: "../../docs/openapi.md",
        Secrets: "../../docs/secrets.md",
        Servers: "../../docs/several-servers.md",
        ServerRendered: "../../docs/server-rendered.md",
        Spa: "../../docs/spa.md",
        Store: "../../docs/writing-a-store.md",
        Testing: "../../docs/testing.md",
    }
}

#[cfg(test)]
mod tests {
    use std::fs;
    use std::path::{Path, PathBuf};

    fn root() -> PathBuf {
        Path::new(env!("CARGO_MANIFEST_DIR"))
            .parent()
            .unwrap()
            .into()
    }

    /// Every Markdown file that people read, but for what tools bring along.
    fn pages(folder: &Path, found: &mut Vec<PathBuf>) {
        for entry in fs::read_dir(folder).unwrap() {
            let entry = entry.unwrap();
            let (path, name) = (entry.path(), entry.file_name());
            let name = name.to_string_lossy();
            if entry.file_type().unwrap().is_dir() {
                if !name.starts_with('.') && !["target", "node_modules"].contains(&&*name) {
                    pages(&path, found);
                }
            } else if name.ends_with(".md") {
                found.push(path);
            }
        }
    }

    /// The targets of `[text](target)`, outside of code blocks.
    fn links(text: &str) -> Vec<String> {
        let prose: Vec<&str> = text.split("```").step_by(2).collect();
        let prose = prose.concat();
        let targets = prose.split("](").skip(1);
        targets
            .filter_map(|rest| Some(rest.split_once(')')?.0.to_owned()))
            .collect()
    }

    #[test]
    fn every_guide_is_compiled() {
        let mut guides = Vec::new();
        pages(&root().join("docs"), &mut guides);
        assert!(guides.len() > 10);
        let compiled = include_str!("lib.rs");
        for guide in guides {
            let has_rust = fs::read_to_string(&guide).unwrap().contains("```rust");
            let path = guide.strip_prefix(root()).unwrap().display().to_string();
            let listed = compiled.contains(&format!("\"../../{path}\""));
            assert_eq!(listed, has_rust, "{path}: is it in `compiled!`?");
        }
    }

    #[test]
    fn links_between_pages_lead_somewhere() {
        let mut found = Vec::new();
        pages(&root(), &mut found);
        let mut followed = 0;
        for page in found {
            let text = fs::read_to_string(&page).unwrap();
            let conflict = ["<", ">"].map(|sign| format!("\n{} ", sign.repeat(7)));
            assert!(!conflict.iter().any(|mark| text.contains(mark)), "{page:?}");
            for target in links(&text) {
                let path = target.split('#').next().unwrap();
                // Addresses, and rustdoc's own links, which rustdoc checks.
                let elsewhere = path.is_empty() || path.contains(':');
                if elsewhere || !path.contains(['/', '.']) {
                    continue;
                }
                followed += 1;
                let leads_to = page.parent().unwrap().join(path);
                assert!(leads_to.exists(), "{}: {target}", page.display());
            }
        }
        assert!(followed > 20, "{followed}");
    }
}
