//! The built-in module of policies on Ingresses and Services: one component,
//! so that one instance and one parse of an Ingress serve all.

portcullis_sdk::module!(ingress_class::IngressClassPolicy, ingress_tls::IngressTls);
