// What Higress's two kinds take of what we use (their definitions: extensions.higress.io/v1alpha1,
// networking.higress.io/v1). No package has them.
interface Metadata {
  name: string;
  namespace?: string;
}

export interface IWasmPlugin {
  apiVersion: "extensions.higress.io/v1alpha1";
  kind: "WasmPlugin";
  metadata: Metadata;
  spec: {
    defaultConfig?: object;
    defaultConfigDisable?: boolean;
    failStrategy?: "FAIL_CLOSE" | "FAIL_OPEN";
    imagePullPolicy?: "UNSPECIFIED_POLICY" | "IfNotPresent" | "Always";
    imagePullSecret?: string;
    phase?: "UNSPECIFIED_PHASE" | "AUTHN" | "AUTHZ" | "STATS";
    pluginName?: string;
    priority?: number;
    sha256?: string;
    url?: string;
    vmConfig?: { env?: { name?: string; value?: string; valueFrom?: "INLINE" | "HOST" }[] };
  };
}

export interface IMcpBridge {
  apiVersion: "networking.higress.io/v1";
  kind: "McpBridge";
  metadata: Metadata;
  spec: {
    registries?: {
      domain?: string;
      name?: string;
      port?: number;
      protocol?: string;
      sni?: string;
      type?: string;
    }[];
  };
}
