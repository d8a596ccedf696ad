//! The common parts of what is in `tests/`: the conformance servers, and the programs that race
//! refreshes, break stores, tear clusters apart, rotate keys under load and soak the example apps.

pub mod cluster;
pub mod conformance_server;
pub mod fault;
mod node;
#[cfg(test)]
mod pages;
#[cfg(test)]
mod release;
pub mod rotation;
pub mod servers;
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
        QuickStart: "../../docs/quick-start.md",
        Secrets: "../../docs/secrets.md",
        Servers: "../../docs/several-servers.md",
        ServerRendered: "../../docs/server-rendered.md",
        Spa: "../../docs/spa.md",
        Store: "../../docs/writing-a-store.md",
        Testing: "../../docs/testing.md",
    }
}
